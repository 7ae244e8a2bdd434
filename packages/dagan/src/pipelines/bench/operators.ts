// Which operators an engine's time goes to, and how much of it is arithmetic, copying and changing layouts: from LibTorch's
// profile, and from the one that ONNX Runtime writes.
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { profile } from '@dagan/libtorch';
import type { InferenceSession } from 'onnxruntime-node';
import type { Engine } from '../../animation/engine.js';
import type { LibtorchEngine } from '../../animation/engines/libtorch.js';
import { type ExportedFolder, OnnxEngine, type OnnxEngineOptions } from '../../animation/engines/onnx.js';
import { loadOnnxRuntime } from '../../onnx-runtime.js';
import type { Seen } from './pictures.js';

/** What operators are for. */
export const OPERATOR_KINDS = ['convolution', 'product', 'sampling', 'copy', 'layout', 'other'] as const;

export type OperatorKind = (typeof OPERATOR_KINDS)[number];

/** All calls of one operator at one place of the model, or with inputs of one shape, in one frame. */
export type OperatorShare = {
  /** As the runtime names it. */
  operator: string;
  kind: OperatorKind;
  /** The module that it belongs to where the runtime knows it, and the shapes of its inputs. */
  where: string;
  calls: number;
  milliseconds: number;
};

/** Where the time of one stage goes, per frame. */
export type StageProfile = {
  stage: 'drive' | 'generate';
  /** Of all operators. */
  milliseconds: number;
  /** Milliseconds of each kind. */
  kinds: Readonly<Record<OperatorKind, number>>;
  /** Dearest first. */
  operators: readonly OperatorShare[];
};

/** Names of operators in both runtimes, by what they are for; the first that fits counts. */
const KINDS: readonly (readonly [OperatorKind, RegExp])[] = [
  ['convolution', /^(aten::)?(_?conv|mkldnn_conv|thnn_conv|slow_conv|cudnn_conv|Conv|FusedConv|QLinearConv|NhwcConv)/i],
  ['product', /^(aten::)?(matmul|bmm|mm|addmm|baddbmm|linear|MatMul|FusedMatMul|Gemm|FusedGemm)/i],
  ['sampling', /^(aten::)?(grid_sampler|upsample|GridSample|Resize|Upsample)/i],
  ['layout', /^(aten::)?(Reorder|Transpose|permute|DepthToSpace|pixel_shuffle|to_mkldnn|mkldnn_reorder)/i],
  [
    'copy',
    /^(aten::)?(copy_|cat|clone|contiguous|_to_copy|Concat|Slice|Expand|Pad|Gather|Cast|Identity|Tile|repeat|Split|index_select|constant_pad|reflection_pad|replication_pad|Unsqueeze|Reshape|QuantizeLinear|DequantizeLinear)/i,
  ],
];

export const kindOf = (operator: string): OperatorKind =>
  KINDS.find(([, names]) => names.test(operator))?.[0] ?? 'other';

/** LibTorch's engine, which is one and works in this thread. Its times are of the calling thread's clock. */
export async function profileLibtorch(engine: LibtorchEngine, seen: Seen): Promise<StageProfile[]> {
  const shares: Record<StageProfile['stage'], OperatorShare[]> = { drive: [], generate: [] };
  const observed = async <T>(stage: StageProfile['stage'], work: () => Promise<T>): Promise<T> => {
    const { result, operators } = profile(work); // all of it runs before the promise is handed back
    for (const { name, inputs, calls, milliseconds } of operators) {
      shares[stage].push({ operator: name, kind: kindOf(name), where: inputs, calls, milliseconds });
    }
    return result;
  };
  await run(engine, seen, {
    drive: (work) => observed('drive', work),
    generate: (work) => observed('generate', work),
  });
  return stages(shares, seen);
}

/** Each stage's work is handed to what observes it. */
type Observers = Record<StageProfile['stage'], <T>(work: () => Promise<T>) => Promise<T>>;

async function run(engine: Engine, { portrait, frames }: Seen, observe: Observers): Promise<void> {
  await engine.setSource(portrait);
  await engine.generate((await engine.drive(frames.slice(0, 1))).map(({ keypoints }) => keypoints));
  for (const frame of frames) {
    const [analysis] = await observe.drive(() => engine.drive([frame]));
    await observe.generate(() => engine.generate([analysis!.keypoints]));
  }
}

/** An exported model on ONNX Runtime, on the processor. */
export async function profileOnnx(
  model: ExportedFolder,
  options: Pick<OnnxEngineOptions, 'session' | 'int8'>,
  seen: Seen,
): Promise<StageProfile[]> {
  const { InferenceSession, Tensor } = await loadOnnxRuntime();
  const folder = mkdtempSync(join(tmpdir(), 'dagan-profile-'));
  const sessions: InferenceSession[] = [];
  const create = async (path: string, options?: InferenceSession.SessionOptions): Promise<InferenceSession> => {
    const profileFilePrefix = join(folder, basename(path));
    sessions.push(await InferenceSession.create(path, { ...options, enableProfiling: true, profileFilePrefix }));
    return sessions.at(-1)!;
  };
  try {
    const engine = await OnnxEngine.open({ InferenceSession: { create }, Tensor }, model, options);
    const plainly = <T>(work: () => Promise<T>): Promise<T> => work();
    await run(engine, seen, { drive: plainly, generate: plainly });
    for (const each of sessions) each.endProfiling();
    engine.dispose();
    const passes = { drive: seen.frames.length + 2, generate: seen.frames.length + 1 }; // the portrait, the first frame
    const shares = (stage: StageProfile['stage']): OperatorShare[] =>
      nodesOf(folder, stage).map(({ milliseconds, calls, ...share }) => ({
        ...share,
        calls: (calls * seen.frames.length) / passes[stage],
        milliseconds: (milliseconds * seen.frames.length) / passes[stage],
      }));
    return stages({ drive: shares('drive'), generate: shares('generate') }, seen);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** An event of ONNX Runtime's profile, as far as it is read here. */
type NodeEvent = {
  cat: string;
  name: string;
  dur: number;
  args: { op_name?: string; input_type_shape?: readonly Record<string, readonly number[]>[] };
};

/** What every node of a step's graph took in all passes. */
function nodesOf(folder: string, step: StageProfile['stage']): OperatorShare[] {
  const file = readdirSync(folder).find((name) => name.startsWith(step));
  if (file === undefined) throw new Error(`ONNX Runtime wrote no profile of the step ${step}`);
  const events = JSON.parse(readFileSync(join(folder, file), 'utf8')) as NodeEvent[];
  const nodes = events.filter(({ cat, name }) => cat === 'Node' && name.endsWith(KERNEL_TIME));
  return nodes.map(({ name, dur, args: { op_name: operator = '', input_type_shape: inputs = [] } }) => {
    const shapes = inputs.flatMap((input) => Object.values(input).map((shape) => `[${shape.join(', ')}]`));
    const where = `${name.slice(0, -KERNEL_TIME.length)} ${shapes.join(' ')}`;
    return { operator, kind: kindOf(operator), where, calls: 1, milliseconds: dur / 1000 };
  });
}

const KERNEL_TIME = '_kernel_time';

/** Adds up what the same operators took at the same places. */
function stages(
  shares: Readonly<Record<StageProfile['stage'], readonly OperatorShare[]>>,
  { frames }: Seen,
): StageProfile[] {
  return (['drive', 'generate'] as const).map((stage) => {
    const sums = new Map<string, OperatorShare>();
    for (const share of shares[stage]) {
      const key = `${share.operator} ${share.where}`;
      const { calls, milliseconds } = sums.get(key) ?? { calls: 0, milliseconds: 0 };
      const more = share.milliseconds / frames.length;
      sums.set(key, { ...share, calls: calls + share.calls / frames.length, milliseconds: milliseconds + more });
    }
    const operators = [...sums.values()].sort((a, b) => b.milliseconds - a.milliseconds);
    const total = (of: readonly OperatorShare[]): number => of.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
    const kinds = Object.fromEntries(
      OPERATOR_KINDS.map((kind) => [kind, total(operators.filter((share) => share.kind === kind))]),
    ) as Record<OperatorKind, number>;
    return { stage, milliseconds: total(operators), kinds, operators };
  });
}

/** Lines for people: shares of the kinds, then the dearest operators. */
export function profileLines(name: string, profiles: readonly StageProfile[], most = 12): string[] {
  return profiles.flatMap(({ stage, milliseconds, kinds, operators }) => [
    '',
    `${name}, ${stage === 'drive' ? 'keypoints' : 'picture'}: ${milliseconds.toFixed(1)} ms in operators: ` +
      OPERATOR_KINDS.map((kind) => `${kind} ${((100 * kinds[kind]) / milliseconds).toFixed(1)} %`).join(', '),
    ...operators
      .slice(0, most)
      .map(
        ({ operator, where, calls, milliseconds: own }) =>
          `${own.toFixed(2).padStart(8)} ms${((100 * own) / milliseconds).toFixed(1).padStart(6)} %` +
          `${calls.toFixed(0).padStart(5)} x  ${operator} ${where}`,
      ),
  ]);
}
