// Tensor: a handle to a LibTorch tensor, with the methods that networks, losses and training use.
//
// Methods carry LibTorch's names and meanings; each is one ATen operator. Whatever has no method is one
// `call('aten::...')` away.
import { type DType, dtypeOfData, holds, type MemoryFormat, type TensorData, viewAs } from './dtype.js';
import { addon, type Handle } from './native.js';
import { run, runMany } from './operator.js';
import { track } from './scope.js';

/** A number, or a tensor that broadcasts. */
export type Operand = Tensor | number;

/** Nested arrays of numbers, as `toArray` returns them. */
export type NestedArray = number | NestedArray[];

/**
 * A tensor in LibTorch's memory. It is freed by the `tidy` scope it was made in, by `dispose()`, by `using`, or at the
 * latest with its JavaScript object.
 */
export class Tensor {
  #handle: Handle | undefined;

  /** Set by `keep`: no scope frees this tensor. */
  kept = false;

  /** Takes over a native handle; use `tensor()`, `zeros()` and the like to make tensors. */
  constructor(handle: Handle) {
    this.#handle = handle;
    track(this);
  }

  /** The native handle. Throws if the tensor has been disposed. */
  get handle(): Handle {
    if (this.#handle === undefined) throw new TypeError('this tensor has been disposed');
    return this.#handle;
  }

  /** Frees the tensor; its storage goes when no view and no autograd graph needs it. Calling it again does nothing. */
  dispose(): void {
    if (this.#handle !== undefined) addon().free(this.#handle);
    this.#handle = undefined;
  }

  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Gives the native handle away; this object then counts as disposed. */
  release(): Handle {
    const handle = this.handle;
    this.#handle = undefined;
    return handle;
  }

  get disposed(): boolean {
    return this.#handle === undefined;
  }

  /** Sizes of the dimensions. */
  get shape(): readonly number[] {
    return addon().shape(this.handle);
  }

  /** Size of one dimension; negative counts from the end. */
  size(dim: number): number {
    const size = this.shape.at(dim);
    if (size === undefined) throw new RangeError(`a tensor of shape [${this.shape}] has no dimension ${dim}`);
    return size;
  }

  /** Number of dimensions. */
  get ndim(): number {
    return this.shape.length;
  }

  /** Number of elements. */
  get numel(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }

  get dtype(): DType {
    return addon().dtype(this.handle);
  }

  /** 'cpu' or 'cuda:0' and so on. */
  get device(): string {
    return addon().device(this.handle);
  }

  /** Whether the elements lie in memory in the given order without gaps. */
  isContiguous(memoryFormat: MemoryFormat = 'contiguous'): boolean {
    return addon().isContiguous(this.handle, memoryFormat);
  }

  // ---- out to JavaScript

  /** A copy of the elements in row-major order; 16-bit floats come as bit patterns. */
  toTypedArray(): TensorData {
    return viewAs(addon().toData(this.handle), this.dtype);
  }

  /** A copy of the elements as float32, in row-major order. */
  toFloat32Array(): Float32Array {
    if (this.dtype === 'float32') return new Float32Array(addon().toData(this.handle));
    using converted = this.to({ dtype: 'float32' });
    return new Float32Array(addon().toData(converted.handle));
  }

  /** A copy of the elements as bytes 0..255; the tensor must be uint8. */
  toUint8Array(): Uint8Array {
    if (this.dtype !== 'uint8') throw new TypeError(`toUint8Array needs a uint8 tensor, this one is ${this.dtype}`);
    return new Uint8Array(addon().toData(this.handle));
  }

  /** Copies the elements into memory that already exists; it must have the tensor's dtype and size. */
  copyToData(data: TensorData): void {
    if (!holds(data, this.dtype)) {
      throw new TypeError(`copyToData: a ${data.constructor.name} cannot hold the elements of a ${this.dtype} tensor`);
    }
    addon().copyTo(this.handle, data);
  }

  /** The value of a tensor with one element. */
  item(): number {
    if (this.numel !== 1) throw new RangeError(`item() needs one element, this tensor has shape [${this.shape}]`);
    using single = this.to({ dtype: 'float64' });
    return new Float64Array(addon().toData(single.handle))[0]!;
  }

  /** The elements as nested arrays of numbers. */
  toArray(): NestedArray {
    using wide = this.to({ dtype: 'float64' });
    const flat = new Float64Array(addon().toData(wide.handle));
    const { shape } = this;
    const nest = (dim: number, offset: number, count: number): NestedArray => {
      if (dim === shape.length) return flat[offset]!;
      const size = shape[dim]!;
      const step = size === 0 ? 0 : count / size;
      return Array.from({ length: size }, (_, i) => nest(dim + 1, offset + i * step, step));
    };
    return nest(0, 0, flat.length);
  }

  toString(): string {
    if (this.disposed) return 'Tensor(disposed)';
    return `Tensor(${this.dtype}[${this.shape.join(', ')}]${this.device === 'cpu' ? '' : ` on ${this.device}`})`;
  }

  // ---- autograd

  get requiresGrad(): boolean {
    return addon().requiresGrad(this.handle);
  }

  /** Asks autograd to record what is done with this leaf (or to stop). Returns the tensor. */
  requiresGrad_(required = true): this {
    addon().setRequiresGrad(this.handle, required);
    return this;
  }

  get isLeaf(): boolean {
    return addon().isLeaf(this.handle);
  }

  /** A new handle to the gradient that backward passes have added up, or null. */
  get grad(): Tensor | null {
    const gradient = addon().gradOf(this.handle);
    return gradient === null ? null : new Tensor(gradient);
  }

  /** Replaces the gradient; null drops it. */
  setGrad(gradient: Tensor | null): void {
    addon().setGrad(this.handle, gradient === null ? null : gradient.handle);
  }

  /**
   * Gradients of this tensor with respect to the leaves, added to their `grad`.
   * @param gradient needed when the tensor has more than one element
   */
  backward({ gradient, retainGraph = false }: { gradient?: Tensor; retainGraph?: boolean } = {}): void {
    addon().backward([this.handle], gradient ? [gradient.handle] : null, retainGraph, false);
  }

  /** The same data without autograd's history. */
  detach(): Tensor {
    return run('aten::detach', [this]);
  }

  // ---- type, place and layout

  /** Converts dtype, device or memory format; returns a new handle, to the same data where nothing changes. */
  to(options: { dtype?: DType; device?: string; memoryFormat?: MemoryFormat }): Tensor {
    const { dtype = this.dtype, device = this.device, memoryFormat } = options;
    return run('aten::to.device', [this, device, dtype, false, false, memoryFormat]);
  }

  contiguous(memoryFormat: MemoryFormat = 'contiguous'): Tensor {
    return run('aten::contiguous', [this], { memory_format: memoryFormat });
  }

  clone(): Tensor {
    return run('aten::clone', [this]);
  }

  // ---- shape

  reshape(...shape: number[]): Tensor {
    return run('aten::reshape', [this, shape]);
  }

  view(...shape: number[]): Tensor {
    return run('aten::view', [this, shape]);
  }

  flatten(startDim = 0, endDim = -1): Tensor {
    return run('aten::flatten.using_ints', [this, startDim, endDim]);
  }

  permute(...dims: number[]): Tensor {
    return run('aten::permute', [this, dims]);
  }

  transpose(dim0: number, dim1: number): Tensor {
    return run('aten::transpose.int', [this, dim0, dim1]);
  }

  unsqueeze(dim: number): Tensor {
    return run('aten::unsqueeze', [this, dim]);
  }

  squeeze(dim: number): Tensor {
    return run('aten::squeeze.dim', [this, dim]);
  }

  /** A view with the sizes given; -1 keeps a size, dimensions of size 1 repeat without copying. */
  expand(...shape: number[]): Tensor {
    return run('aten::expand', [this, shape]);
  }

  repeat(...times: number[]): Tensor {
    return run('aten::repeat', [this, times]);
  }

  /** Elements from `start` to before `end` along `dim`, every `step`th: a view. */
  slice(dim: number, start?: number, end?: number, step = 1): Tensor {
    return run('aten::slice.Tensor', [this, dim, start ?? null, end ?? null, step]);
  }

  /** The part at one index of `dim`, which goes away: a view. */
  select(dim: number, index: number): Tensor {
    return run('aten::select.int', [this, dim, index]);
  }

  narrow(dim: number, start: number, length: number): Tensor {
    return run('aten::narrow', [this, dim, start, length]);
  }

  indexSelect(dim: number, index: Tensor): Tensor {
    return run('aten::index_select', [this, dim, index]);
  }

  /** Parts of at most `size` along `dim`. */
  split(size: number, dim = 0): Tensor[] {
    return runMany('aten::split.Tensor', [this, size, dim]);
  }

  /** The parts at every index of `dim`. */
  unbind(dim = 0): Tensor[] {
    return runMany('aten::unbind.int', [this, dim]);
  }

  flip(...dims: number[]): Tensor {
    return run('aten::flip', [this, dims]);
  }

  // ---- arithmetic

  add(other: Operand): Tensor {
    return typeof other === 'number' ? run('aten::add.Scalar', [this, other]) : run('aten::add.Tensor', [this, other]);
  }

  sub(other: Operand): Tensor {
    return typeof other === 'number' ? run('aten::sub.Scalar', [this, other]) : run('aten::sub.Tensor', [this, other]);
  }

  /** other - this */
  rsub(other: number): Tensor {
    return run('aten::rsub.Scalar', [this, other]);
  }

  mul(other: Operand): Tensor {
    return typeof other === 'number' ? run('aten::mul.Scalar', [this, other]) : run('aten::mul.Tensor', [this, other]);
  }

  div(other: Operand): Tensor {
    return typeof other === 'number' ? run('aten::div.Scalar', [this, other]) : run('aten::div.Tensor', [this, other]);
  }

  neg(): Tensor {
    return run('aten::neg', [this]);
  }

  reciprocal(): Tensor {
    return run('aten::reciprocal', [this]);
  }

  pow(exponent: number): Tensor {
    return run('aten::pow.Tensor_Scalar', [this, exponent]);
  }

  square(): Tensor {
    return run('aten::square', [this]);
  }

  sqrt(): Tensor {
    return run('aten::sqrt', [this]);
  }

  exp(): Tensor {
    return run('aten::exp', [this]);
  }

  log(): Tensor {
    return run('aten::log', [this]);
  }

  sin(): Tensor {
    return run('aten::sin', [this]);
  }

  cos(): Tensor {
    return run('aten::cos', [this]);
  }

  abs(): Tensor {
    return run('aten::abs', [this]);
  }

  sign(): Tensor {
    return run('aten::sign', [this]);
  }

  round(): Tensor {
    return run('aten::round', [this]);
  }

  clamp(min: number | null, max: number | null = null): Tensor {
    return run('aten::clamp', [this, min, max]);
  }

  maximum(other: Tensor): Tensor {
    return run('aten::maximum', [this, other]);
  }

  minimum(other: Tensor): Tensor {
    return run('aten::minimum', [this, other]);
  }

  relu(): Tensor {
    return run('aten::relu', [this]);
  }

  sigmoid(): Tensor {
    return run('aten::sigmoid', [this]);
  }

  tanh(): Tensor {
    return run('aten::tanh', [this]);
  }

  softmax(dim: number): Tensor {
    return run('aten::softmax.int', [this, dim]);
  }

  // ---- comparison

  lt(other: Operand): Tensor {
    return typeof other === 'number' ? run('aten::lt.Scalar', [this, other]) : run('aten::lt.Tensor', [this, other]);
  }

  gt(other: Operand): Tensor {
    return typeof other === 'number' ? run('aten::gt.Scalar', [this, other]) : run('aten::gt.Tensor', [this, other]);
  }

  le(other: Operand): Tensor {
    return typeof other === 'number' ? run('aten::le.Scalar', [this, other]) : run('aten::le.Tensor', [this, other]);
  }

  ge(other: Operand): Tensor {
    return typeof other === 'number' ? run('aten::ge.Scalar', [this, other]) : run('aten::ge.Tensor', [this, other]);
  }

  eq(other: Operand): Tensor {
    return typeof other === 'number' ? run('aten::eq.Scalar', [this, other]) : run('aten::eq.Tensor', [this, other]);
  }

  isFinite(): Tensor {
    return run('aten::isfinite', [this]);
  }

  all(): Tensor {
    return run('aten::all', [this]);
  }

  // ---- reduction

  /** Sum over `dims` (all of them if none is given). */
  sum(dims?: readonly number[], keepDim = false): Tensor {
    return dims ? run('aten::sum.dim_IntList', [this, dims, keepDim]) : run('aten::sum', [this]);
  }

  /** Mean over `dims` (all of them if none is given). */
  mean(dims?: readonly number[], keepDim = false): Tensor {
    return dims ? run('aten::mean.dim', [this, dims, keepDim]) : run('aten::mean', [this]);
  }

  /** Variance over `dims`. `correction` 1 divides by n - 1, 0 by n. */
  variance(dims: readonly number[], { correction = 1, keepDim = false } = {}): Tensor {
    return run('aten::var.correction', [this, dims], { correction, keepdim: keepDim });
  }

  amax(dims: readonly number[] = [], keepDim = false): Tensor {
    return run('aten::amax', [this, dims, keepDim]);
  }

  amin(dims: readonly number[] = [], keepDim = false): Tensor {
    return run('aten::amin', [this, dims, keepDim]);
  }

  argmax(dim: number, keepDim = false): Tensor {
    return run('aten::argmax', [this, dim, keepDim]);
  }

  /** Euclidean length of all elements. */
  norm(): Tensor {
    return run('aten::linalg_vector_norm', [this, 2]);
  }

  // ---- linear algebra

  matmul(other: Tensor): Tensor {
    return run('aten::matmul', [this, other]);
  }

  bmm(other: Tensor): Tensor {
    return run('aten::bmm', [this, other]);
  }

  /** Inverse of the matrices in the last two dimensions. */
  inverse(): Tensor {
    return run('aten::linalg_inv', [this]);
  }

  // ---- in place

  /** Copies the elements of another tensor (converted and broadcast) into this one. */
  copy_(source: Tensor): this {
    run('aten::copy_', [this, source]);
    return this;
  }

  add_(other: Operand, alpha = 1): this {
    if (typeof other === 'number') run('aten::add_.Scalar', [this, other, alpha]);
    else run('aten::add_.Tensor', [this, other, alpha]);
    return this;
  }

  mul_(other: Operand): this {
    run(typeof other === 'number' ? 'aten::mul_.Scalar' : 'aten::mul_.Tensor', [this, other]);
    return this;
  }

  zero_(): this {
    run('aten::zero_', [this]);
    return this;
  }

  fill_(value: number): this {
    run('aten::fill_.Scalar', [this, value]);
    return this;
  }

  /** Fills with numbers drawn evenly from [from, to). */
  uniform_(from = 0, to = 1): this {
    run('aten::uniform_', [this, from, to]);
    return this;
  }

  /** Fills with normally distributed numbers. */
  normal_(mean = 0, std = 1): this {
    run('aten::normal_', [this, mean, std]);
    return this;
  }
}

/** The Tensor that takes over a native handle. */
export function tensorOf(handle: Handle): Tensor {
  return new Tensor(handle);
}

/**
 * A tensor from JavaScript numbers.
 *
 * @param data a TypedArray (copied as it is), a number, or nested arrays of numbers
 * @param shape of the TypedArray's data; nested arrays bring their own
 * @param dtype of the result; by default what the TypedArray holds, else float32. A Uint16Array holds float16 or
 *   bfloat16 bit patterns and needs it.
 */
export function tensor(
  data: TensorData | NestedArray,
  { shape, dtype }: { shape?: readonly number[]; dtype?: DType } = {},
): Tensor {
  if (ArrayBuffer.isView(data)) {
    const stored = dtype && holds(data, dtype) ? dtype : dtypeOfData(data);
    return converted(new Tensor(addon().fromData(data, shape ?? [data.length], stored)), dtype ?? stored);
  }
  const inferred: number[] = [];
  for (let level: NestedArray = data; Array.isArray(level); level = level[0]!) inferred.push(level.length);
  const flat: number[] = [];
  const flatten = (level: NestedArray, depth: number): void => {
    if (!Array.isArray(level) ? depth < inferred.length : level.length !== inferred[depth]) {
      throw new RangeError('nested arrays of a tensor must all have the same length');
    }
    if (Array.isArray(level)) for (const entry of level) flatten(entry, depth + 1);
    else if (typeof level === 'number') flat.push(level);
    else throw new TypeError(`nested arrays of a tensor must hold numbers, not ${typeof level}`);
  };
  flatten(data, 0);
  const made = new Tensor(addon().fromData(Float64Array.from(flat), shape ?? inferred, 'float64'));
  return converted(made, dtype ?? 'float32');
}

/** `made` in another dtype; `made` itself is not needed any more. */
function converted(made: Tensor, dtype: DType): Tensor {
  if (made.dtype === dtype) return made;
  using before = made;
  return before.to({ dtype });
}
