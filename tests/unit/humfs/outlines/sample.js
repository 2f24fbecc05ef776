#!/usr/bin/env node
'use strict';
import fs from 'node:fs';
// how to join
import { join } from 'node:path';

/** The limit. */
export const LIMIT = 10, other = 2;
let { a, b: renamed, ...rest } = LIMIT, [first, , second = 3] = rest;

// named
function outer(x, ...more) {
  const local = 1;
  const handler = async (event) => {
    function deep() {}
    return deep;
  };
  return function inner() { return handler; };
}

export default class Shape extends Base {
  static count = 0;
  #secret = 1;
  onClick = (event) => event;
  static { Shape.count = 1; }
  constructor(width) {
    super();
    this.area = () => width * width;
  }
  get size() { return 1; }
  set size(value) {}
  static async *walk() {}
  'quoted name'() {}
  [Symbol.iterator]() {}
}

const single = x => x + 1;
const Mixed = class extends Shape { mixed() {} };
const api = {
  list() {},
  find: function (id) {},
  fetch: async (id) => id,
  nested: { deeper() {} },
  value: 1,
};

exports.run = function (argv) {};
Shape.prototype.scale = function scale(by) {};
module.exports = { one() {}, two: () => {} };

describe('suite', () => {
  const hidden = 1;
  function insideCallback() {}
  it('works', function named() {});
  use({ ignored() { function found() {} } });
});
if (LIMIT) {
  const block = 1;
  function conditional() {}
}
