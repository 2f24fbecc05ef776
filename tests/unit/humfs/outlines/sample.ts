import type { Ref } from "vue";
import { ref } from "vue";

/** Adds. */
export function add(a: number, b: number): number;
export function add(a: string, b: string): string;
export function add(a: any, b: any) {
  return a + b;
}

@Component({ selector: "app" })
export class App<T> extends Base implements OnInit {
  @Input() private readonly title?: string = "a";
  // all of them
  @Output()
  changed = new EventEmitter();
  handler = (x: number): void => {};
  constructor(private http: Http) {
    super();
  }
  get(): T;
  get(key?: string): T {
    return this.title;
  }
  abstract later(): void;
  [key: string]: any;
}

abstract class Shape {
  abstract area(): number;
}

export interface Options extends Base {
  name: string;
  size?: { width: number; height: number };
  load?(from: string): Promise<void>;
  [key: string]: unknown;
}

type Id = string | number;
type Shape2 = { kind: "a"; area(): number };
enum Color { Red, Green = "g", "blue-ish" = 3 }
declare const VERSION: string;
declare module "plugin" {
  export const loaded: boolean;
  function install(app: App): void;
}
declare global {
  interface Window { app: App }
}
namespace Geo.Flat {
  export const origin = 0;
  export function distance(a: Point, b: Point): number { return 0; }
}
export const useStore = create<State>((set) => ({ increase: () => set(1), count: 0 }));
export default defineComponent({ setup() { return {}; }, methods: { close() {} } });
