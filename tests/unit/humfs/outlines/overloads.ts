import { ref } from "vue";

/** Adds. */
export function add(a: number, b: number): number;
export function add(a: string, b: string): string;
export function add(a: any, b: any) {
  return a + b;
}

export class Box<T> {
  private value: T;
  constructor(v: T) {
    this.value = v;
  }
  get(): T {
    return this.value;
  }
}

export const LIMIT = 10, other = 2;
export const twice = (n: number) => n * 2;
type Id = string | number;
enum Color { Red, Green }
