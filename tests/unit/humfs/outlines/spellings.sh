#!/bin/bash
PORT=1
foo() {
  echo hi
}
function bar {
  echo bye
}
