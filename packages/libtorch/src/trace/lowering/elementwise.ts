// Operators that work element by element, and sums over elements.
import type { DType } from '../../dtype.js';
import { type GraphArgument, GraphValue } from '../graph.js';
import { axis, flag, number, numbers, optionalValue, require, size, value } from './arguments.js';
import type { Lowering, OnnxBuilder } from './builder.js';

/** An operator whose ONNX form has one input and no attributes. */
const unary =
  (operator: string): Lowering =>
  (b, [x]) =>
    b.op(operator, [b.name(value(x))]);

/** A tensor or number, in the dtype that the computation is in. */
const operand = (b: OnnxBuilder, arg: GraphArgument, dtype: DType): string =>
  arg instanceof GraphValue ? b.as(arg, dtype) : b.scalar(size(arg), dtype);

/** a op b, broadcast. */
const binary =
  (operator: string): Lowering =>
  (b, [x, y], [out]) =>
    b.op(operator, [operand(b, x, out!.dtype), operand(b, y, out!.dtype)]);

/** a op alpha b */
const scaledBinary =
  (operator: string): Lowering =>
  (b, [x, y, alpha], [out]) => {
    const { dtype } = out!;
    const scaled =
      number(alpha, 1) === 1
        ? operand(b, y, dtype)
        : b.op('Mul', [operand(b, y, dtype), b.scalar(number(alpha), dtype)]);
    return b.op(operator, [operand(b, x, dtype), scaled]);
  };

/** Comparison in the first operand's dtype. */
const comparison =
  (operator: string): Lowering =>
  (b, [x, y]) => {
    const { dtype } = value(x);
    return b.op(operator, [operand(b, x, dtype), operand(b, y, dtype)]);
  };

const where: Lowering = (b, [condition, x, y], [out]) =>
  b.op('Where', [b.name(value(condition)), operand(b, x, out!.dtype), operand(b, y, out!.dtype)]);

const clamp: Lowering = (b, [x, low, high]) => {
  const { dtype } = value(x);
  const bound = (arg: GraphArgument): string => (arg == null ? '' : b.scalar(number(arg), dtype));
  const bounds = high == null ? [bound(low)] : [bound(low), bound(high)];
  return b.op('Clip', [b.name(value(x)), ...bounds]);
};

const softplus: Lowering = (b, [x, beta]) => {
  require(number(beta, 1) === 1, 'a beta of 1');
  return b.op('Softplus', [b.name(value(x))]);
};

const elu: Lowering = (b, [x, alpha, scale, inputScale]) => {
  require(number(scale, 1) === 1 && number(inputScale, 1) === 1, 'scales of 1');
  return b.op('Elu', [b.name(value(x))], { alpha: { float: number(alpha, 1) } });
};

const leakyRelu: Lowering = (b, [x, slope]) =>
  b.op('LeakyRelu', [b.name(value(x))], { alpha: { float: number(slope, 0.01) } });

const softmax: Lowering = (b, [x, dim], [out]) => {
  const input = value(x);
  return b.op('Softmax', [b.as(input, out!.dtype)], { axis: axis(dim, input.shape.length) });
};

/** x^exponent; small whole powers by multiplication, which is exact for negative numbers everywhere. */
const power: Lowering = (b, [x, exponent]) => {
  const [name, e] = [b.name(value(x)), number(exponent)];
  return e === 2 ? b.op('Mul', [name, name]) : b.op('Pow', [name, b.scalar(e, value(x).dtype)]);
};

const square: Lowering = (b, [x]) => b.op('Mul', [b.name(value(x)), b.name(value(x))]);

const rsqrt: Lowering = (b, [x]) => b.op('Reciprocal', [b.op('Sqrt', [b.name(value(x))])]);

const rsub: Lowering = (b, [x, other, alpha], [out]) => {
  const { dtype } = out!;
  require(number(alpha, 1) === 1, 'an alpha of 1');
  return b.op('Sub', [operand(b, other, dtype), operand(b, x, dtype)]);
};

/** self + factor a b */
const addcmul: Lowering = (b, [x, first, second, factor]) => {
  require(number(factor, 1) === 1, 'a value of 1');
  return b.op('Add', [b.name(value(x)), b.op('Mul', [b.name(value(first)), b.name(value(second))])]);
};

/** Reductions whose axes are an input. */
const sum: Lowering = (b, [x, dims, keep]) => {
  const input = value(x);
  const axes = numbers(dims, []);
  return b.op('ReduceSum', [b.name(input), ...(axes.length > 0 ? [b.ints(axes)] : [])], {
    keepdims: flag(keep, false) ? 1 : 0,
  });
};

/** Reductions whose axes are an attribute. */
const reduction =
  (operator: string): Lowering =>
  (b, [x, dims, keep]) => {
    const axes = numbers(dims, []);
    const attributes = { ...(axes.length > 0 ? { axes } : {}), keepdims: flag(keep, false) ? 1 : 0 };
    return b.op(operator, [b.name(value(x))], attributes);
  };

/** Variance over dims, corrected for the mean's own freedom: var.correction(self, dim, *, correction=1, keepdim). */
const variance: Lowering = (b, [x, dims, correction, keep]) => {
  const input = value(x);
  const axes = numbers(dims);
  require(number(correction, 1) === 0, 'a correction of 0');
  const centred = b.op('Sub', [b.name(input), b.op('ReduceMean', [b.name(input)], { axes, keepdims: 1 })]);
  return b.op('ReduceMean', [b.op('Mul', [centred, centred])], { axes, keepdims: flag(keep, false) ? 1 : 0 });
};

const vectorNorm: Lowering = (b, [x, order, dims, keep]) => {
  require(number(order, 2) === 2, 'the Euclidean norm');
  return reduction('ReduceL2')(b, [x, dims, keep], []);
};

const argmax: Lowering = (b, [x, dim, keep]) => {
  const input = value(x);
  const at = axis(dim, input.shape.length);
  return b.op('ArgMax', [b.name(input)], { axis: at, keepdims: flag(keep, false) ? 1 : 0 });
};

/** to.device(self, device, dtype, ...) */
const convert: Lowering = (b, [x], [out]) => b.as(value(x), out!.dtype);

const identity: Lowering = (b, [x]) => b.name(value(x));

/** A norm's weight or bias, or the same number for all channels where it has none. */
function channelwise(b: OnnxBuilder, arg: GraphArgument, fallback: number, channels: number, dtype: DType): string {
  const given = optionalValue(arg);
  return given ? b.as(given, dtype) : b.floats(new Array(channels).fill(fallback), dtype);
}

/** torch's batch norm with running statistics: (input, weight, bias, mean, variance, training, momentum, eps, ...). */
const batchNorm: Lowering = (b, [x, weight, bias, mean, deviation, training, , eps]) => {
  require(!flag(training, false), 'running statistics (call eval() first)');
  const input = value(x);
  const statistics = [value(mean), value(deviation)];
  const channels = number(statistics[0]!.shape[0]);
  const inputs = [
    b.name(input),
    channelwise(b, weight, 1, channels, input.dtype),
    channelwise(b, bias, 0, channels, input.dtype),
    ...statistics.map((each) => b.as(each, input.dtype)),
  ];
  return b.op('BatchNormalization', inputs, { epsilon: { float: number(eps, 1e-5) } });
};

/** torch's instance norm by the picture's own statistics: (input, weight, bias, mean, variance, use_input, momentum, eps). */
const instanceNorm: Lowering = (b, [x, weight, bias, , , useInput, , eps]) => {
  require(flag(useInput, true), "the picture's own statistics");
  const input = value(x);
  const channels = number(input.shape[1]);
  return b.op(
    'InstanceNormalization',
    [b.name(input), channelwise(b, weight, 1, channels, input.dtype), channelwise(b, bias, 0, channels, input.dtype)],
    {
      epsilon: { float: number(eps, 1e-5) },
    },
  );
};

export const ELEMENTWISE: Readonly<Record<string, Lowering>> = {
  'aten::relu': unary('Relu'),
  'aten::sigmoid': unary('Sigmoid'),
  'aten::tanh': unary('Tanh'),
  'aten::exp': unary('Exp'),
  'aten::log': unary('Log'),
  'aten::sqrt': unary('Sqrt'),
  'aten::abs': unary('Abs'),
  'aten::neg': unary('Neg'),
  'aten::sign': unary('Sign'),
  'aten::sin': unary('Sin'),
  'aten::cos': unary('Cos'),
  'aten::round': unary('Round'),
  'aten::floor': unary('Floor'),
  'aten::ceil': unary('Ceil'),
  'aten::reciprocal': unary('Reciprocal'),
  'aten::rsqrt': rsqrt,
  'aten::square': square,
  'aten::softplus': softplus,
  'aten::elu': elu,
  'aten::leaky_relu': leakyRelu,
  'aten::clamp': clamp,
  'aten::softmax.int': softmax,
  'aten::pow.Tensor_Scalar': power,
  'aten::add.Tensor': scaledBinary('Add'),
  'aten::add.Scalar': scaledBinary('Add'),
  'aten::sub.Tensor': scaledBinary('Sub'),
  'aten::sub.Scalar': scaledBinary('Sub'),
  'aten::rsub.Scalar': rsub,
  'aten::mul.Tensor': binary('Mul'),
  'aten::mul.Scalar': binary('Mul'),
  'aten::div.Tensor': binary('Div'),
  'aten::div.Scalar': binary('Div'),
  'aten::maximum': binary('Max'),
  'aten::minimum': binary('Min'),
  'aten::addcmul': addcmul,
  'aten::lt.Tensor': comparison('Less'),
  'aten::lt.Scalar': comparison('Less'),
  'aten::gt.Tensor': comparison('Greater'),
  'aten::gt.Scalar': comparison('Greater'),
  'aten::le.Tensor': comparison('LessOrEqual'),
  'aten::le.Scalar': comparison('LessOrEqual'),
  'aten::ge.Tensor': comparison('GreaterOrEqual'),
  'aten::ge.Scalar': comparison('GreaterOrEqual'),
  'aten::eq.Tensor': comparison('Equal'),
  'aten::eq.Scalar': comparison('Equal'),
  'aten::where.self': where,
  'aten::where.ScalarSelf': where,
  'aten::where.ScalarOther': where,
  'aten::where.Scalar': where,
  'aten::sum': (b, [x]) => sum(b, [x], []),
  'aten::sum.dim_IntList': sum,
  'aten::mean': (b, [x]) => reduction('ReduceMean')(b, [x], []),
  'aten::mean.dim': reduction('ReduceMean'),
  'aten::amax': reduction('ReduceMax'),
  'aten::amin': reduction('ReduceMin'),
  'aten::var.correction': variance,
  'aten::linalg_vector_norm': vectorNorm,
  'aten::argmax': argmax,
  'aten::to.device': convert,
  'aten::contiguous': identity,
  'aten::detach': identity,
  'aten::clone': identity,
  'aten::batch_norm': batchNorm,
  'aten::instance_norm': instanceNorm,
};
