// Puts an ONNX graph together, operation by operation. What is built twice is there once.
import type { DType } from '../../dtype.js';
import {
  ONNX_TYPES,
  type OnnxAttribute,
  type OnnxData,
  type OnnxExternalData,
  type OnnxInitializer,
  type OnnxNode,
  type OnnxType,
} from '../../onnx/writer.js';
import { tensor } from '../../tensor.js';
import type { GraphArgument, GraphValue } from '../graph.js';
import { type ModulePlace, TraceError } from '../recording.js';
import { type FreeSize, factorsOf, type Size } from '../size.js';

/** Attributes in short: a number is an int, { float: x } a float, a list ints. */
export type Attributes = Readonly<Record<string, number | readonly number[] | string | { float: number }>>;

/** Where a free dimension can be read: `shape[axis]` of an input is `factor` times it. */
export type DimensionSource = { input: string; axis: number; factor: number };

export class OnnxBuilder {
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  /** Where the calls come from that are being lowered; part of the names of their results. */
  place: ModulePlace = { path: '', kind: '' };
  readonly #names = new Map<GraphValue, string>();
  readonly #built = new Map<string, readonly string[]>();
  readonly #constants = new Map<string, string>();
  readonly #taken = new Map<string, number>();
  readonly #dimensions: ReadonlyMap<string, DimensionSource>;
  readonly #external: ReadonlyMap<string, OnnxExternalData>;

  /**
   * @param reserved names that are given elsewhere
   * @param external places of constants that lie in other files, by their names
   */
  constructor(
    dimensions: ReadonlyMap<string, DimensionSource>,
    reserved: Iterable<string>,
    external: ReadonlyMap<string, OnnxExternalData>,
  ) {
    this.#dimensions = dimensions;
    this.#external = external;
    for (const name of reserved) this.#taken.set(name, 1);
  }

  /** ONNX's name of a value; constants are added when first asked for. */
  name(value: GraphValue): string {
    let name = this.#names.get(value);
    if (name === undefined) {
      if (!value.data) throw new TraceError('a value is used before it is computed');
      name = this.#addConstant(value.data, value.dtype, value.shape as readonly number[], value.name);
      this.#names.set(value, name);
    }
    return name;
  }

  /** Says under which name a value has been computed. */
  define(value: GraphValue, name: string): void {
    this.#names.set(value, name);
  }

  /** Adds an operation with one result and returns the result's name. A trailing empty input is left out. */
  op(operator: string, inputs: readonly string[], attributes: Attributes = {}): string {
    return this.ops(operator, inputs, attributes, 1)[0]!;
  }

  /** The same for an operation with several results. */
  ops(operator: string, inputs: readonly string[], attributes: Attributes, results: number): readonly string[] {
    const key = JSON.stringify([operator, inputs, attributes, results]);
    const built = this.#built.get(key);
    if (built) return built;
    const outputs = Array.from({ length: results }, () => this.#free(`${this.place.path || 'model'}/${operator}`));
    const encoded = Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, encode(value)]));
    this.nodes.push({ operator, inputs, outputs, attributes: encoded });
    this.#built.set(key, outputs);
    return outputs;
  }

  /** A constant of int64: a list, or one number without dimensions. */
  ints(values: readonly number[] | number): string {
    const list = typeof values === 'number' ? [values] : values;
    const shape = typeof values === 'number' ? [] : [list.length];
    return this.#share(BigInt64Array.from(list, BigInt), shape);
  }

  /** A constant of floating-point numbers (or whole ones, by `dtype`). */
  floats(values: readonly number[] | number, dtype: DType = 'float32', shape?: readonly number[]): string {
    const list = typeof values === 'number' ? [values] : values;
    const dimensions = shape ?? (typeof values === 'number' ? [] : [list.length]);
    if (dtype === 'float32') return this.#share(Float32Array.from(list), dimensions);
    using made = tensor(Float64Array.from(list), { shape: dimensions, dtype });
    return this.#share(onnxData(made.toTypedArray(), dtype), dimensions);
  }

  /** A number in a tensor without dimensions, of a dtype. */
  scalar(value: Size, dtype: DType): string {
    if (typeof value === 'number') {
      return dtype === 'int64' ? this.ints(Math.trunc(value)) : this.floats(value, dtype);
    }
    const computed = this.op('Squeeze', [this.#size(value), this.ints([0])]);
    return dtype === 'int64' ? computed : this.cast(computed, dtype);
  }

  /** A list of sizes as one vector of int64. */
  sizes(values: readonly Size[]): string {
    if (values.every((value) => typeof value === 'number')) return this.ints(values);
    const parts = values.map((value) => (typeof value === 'number' ? this.ints([value]) : this.#size(value)));
    return parts.length === 1 ? parts[0]! : this.op('Concat', parts, { axis: 0 });
  }

  cast(value: string, dtype: DType): string {
    return this.op('Cast', [value], { to: ONNX_TYPES[onnxType(dtype)] });
  }

  /** A value's name, converted where its dtype is another. */
  as(value: GraphValue, dtype: DType): string {
    return value.dtype === dtype ? this.name(value) : this.cast(this.name(value), dtype);
  }

  /** A size that follows from the inputs, as a vector with one int64. */
  #size(size: FreeSize): string {
    const products = [...size.terms].map(([product, coefficient]) => {
      const factors = factorsOf(product).map((name) => this.#dimension(name));
      const constant = coefficient === 1 && factors.length > 0 ? [] : [this.ints([coefficient])];
      return [...factors, ...constant].reduce((a, b) => this.op('Mul', [a, b]));
    });
    const sum = products.reduce((a, b) => this.op('Add', [a, b]));
    return size.divisor === 1 ? sum : this.op('Div', [sum, this.ints([size.divisor])]);
  }

  /** A free dimension, as a vector with one int64. */
  #dimension(name: string): string {
    const source = this.#dimensions.get(name);
    if (!source) throw new TraceError(`the free dimension ${name} cannot be read off the shape of any input in use`);
    const { input, axis, factor } = source;
    const read = this.op('Shape', [input], { start: axis, end: axis + 1 });
    if (factor === 1) return read;
    return factor > 1 ? this.op('Div', [read, this.ints([factor])]) : this.op('Mul', [read, this.ints([1 / factor])]);
  }

  /** A constant of the lowering, which there shall be only one of. */
  #share(data: OnnxData, shape: readonly number[]): string {
    const key = `${data.constructor.name} [${shape}] ${data.join()}`;
    let name = this.#constants.get(key);
    if (name === undefined) {
      name = this.#free('constant');
      this.initializers.push({ name, shape, data });
      this.#constants.set(key, name);
    }
    return name;
  }

  #addConstant(data: GraphValue['data'] & object, dtype: DType, shape: readonly number[], wish?: string): string {
    const small = data.length <= 64 && dtype !== 'bool';
    if (small) return this.#share(onnxData(data, dtype), shape);
    const name = this.#free(wish ?? 'constant');
    const external = wish === undefined ? undefined : this.#external.get(wish);
    this.initializers.push(
      external ? { name, shape, type: onnxType(dtype), external } : { name, shape, data: onnxData(data, dtype) },
    );
    return name;
  }

  /** A name that is not in use yet. */
  #free(wish: string): string {
    const uses = this.#taken.get(wish) ?? 0;
    this.#taken.set(wish, uses + 1);
    return uses === 0 ? wish : this.#free(`${wish}_${uses + 1}`);
  }
}

/** ONNX's name of an element type. @throws TraceError for one that exported models do not use */
export function onnxType(dtype: DType): OnnxType {
  if (Object.hasOwn(ONNX_TYPES, dtype)) return dtype as OnnxType;
  throw new TraceError(`tensors of ${dtype} cannot be exported; use float32`);
}

/** A constant's elements as ONNX takes them. */
function onnxData(data: GraphValue['data'] & object, dtype: DType): OnnxData {
  onnxType(dtype);
  if (dtype === 'bool') throw new TraceError('constants of bool cannot be exported');
  return data as OnnxData;
}

function encode(value: Attributes[string]): OnnxAttribute {
  if (typeof value === 'number') return { int: value };
  if (typeof value === 'string') return { text: value };
  return 'float' in value ? value : { ints: value };
}

/** What lowers one operator: gives the name of its result, or of several. */
export type Lowering = (
  b: OnnxBuilder,
  args: readonly GraphArgument[],
  outputs: readonly GraphValue[],
) => string | readonly string[];
