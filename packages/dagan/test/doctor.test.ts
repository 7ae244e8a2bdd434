// `dagan doctor`: its judgements on made-up machines, and its report on this one.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { weightsFinding } from '../src/cli/doctor.js';
import {
  blasFinding,
  examineMachine,
  exitCodeOf,
  formatFindings,
  nodeFinding,
  processorFinding,
  withoutLibtorch,
} from '../src/pipelines/examine-machine.js';
import { multipliesBfloat16, multipliesInt8, parseProcessorFeatures } from '../src/processor.js';

test('on a machine that is set up, every subject has a line and nothing stands in the way', async () => {
  const findings = [...(await examineMachine()), weightsFinding()];
  const subjects = findings.map((finding) => finding.subject);
  for (const subject of [
    'Node',
    'System',
    'Processor',
    'Resources',
    'LibTorch',
    'BLAS',
    'CUDA',
    'Video',
    'Images',
    'Weights',
  ]) {
    assert.ok(subjects.includes(subject), `${subject} is missing from ${subjects.join(', ')}`);
  }
  assert.equal(exitCodeOf(findings), 0, formatFindings(findings));
  assert.match(findings.find((finding) => finding.subject === 'LibTorch')!.text, /^\d+\.\d+\.\d+ .*addon loads/);
});

test('only what keeps animate from working gives exit code 1', () => {
  const finding = (mark: 'ok' | 'note' | 'warn' | 'fail') => ({ mark, subject: 'Thing', text: 'text' });
  assert.equal(exitCodeOf([finding('ok'), finding('note'), finding('warn')]), 0);
  assert.equal(exitCodeOf([finding('ok'), finding('fail')]), 1);
});

test('the report aligns its columns and puts a remedy below its finding', () => {
  const report = formatFindings([
    { mark: 'ok', subject: 'A', text: 'fine' },
    { mark: 'warn', subject: 'Long', text: 'bad', remedy: 'do this' },
  ]);
  assert.equal(report, '✓ A     fine\n! Long  bad\n        -> do this');
});

test('Node is judged by the number, not by the text', () => {
  assert.equal(nodeFinding('18.20.4').mark, 'fail');
  assert.equal(nodeFinding('20.9.0').mark, 'fail');
  assert.equal(nodeFinding('20.15.0').mark, 'ok');
  assert.equal(nodeFinding('100.0.0').mark, 'ok');
});

test('instruction sets are read from the words of Linux and macOS', () => {
  const xeon = parseProcessorFeatures('flags\t\t: fpu avx avx2 avx512f avx512_bf16 avx512_vnni amx_bf16 amx_tile');
  assert.deepEqual(Object.values(xeon), [true, true, true, true, true, true, false, false]);
  const oldXeon = parseProcessorFeatures('flags\t\t: fpu avx avx2 avx512f');
  assert.deepEqual(Object.values(oldXeon), [true, true, false, false, false, false, false, false]);
  const graviton = parseProcessorFeatures('Features\t: fp asimd i8mm bf16');
  assert.deepEqual(Object.values(graviton), [false, false, false, false, false, false, true, true]);
  const m1 = parseProcessorFeatures('hw.optional.arm.FEAT_BF16: 0\nhw.optional.arm.FEAT_I8MM: 0\nhw.optional.neon: 1');
  assert.deepEqual(Object.values(m1), [false, false, false, false, false, false, false, false]);
  const m2 = parseProcessorFeatures('hw.optional.arm.FEAT_BF16: 1\nhw.optional.arm.FEAT_I8MM: 1');
  assert.deepEqual(Object.values(m2), [false, false, false, false, false, false, true, true]);
});

test('the processor line says what bfloat16 will run on', () => {
  const text = (flags: string) => processorFinding('Model X', parseProcessorFeatures(flags)).text;
  assert.match(
    text('avx2 avx512f avx512_bf16 amx_tile amx_bf16'),
    /^Model X \(AVX2, .*AMX bf16\): bfloat16 in matrix units/,
  );
  assert.match(text('avx2 avx512f avx512_bf16'), /bfloat16 in vector units/);
  assert.match(text('bf16 i8mm'), /float32 is used/);
  assert.match(text('avx2'), /float32 is used/);
});

test('bfloat16 units that are counted on are those of AMX and AVX-512', () => {
  for (const flag of ['amx_bf16', 'avx512_bf16']) {
    assert.ok(multipliesBfloat16(parseProcessorFeatures(`avx2 ${flag}`)), flag);
  }
  assert.ok(!multipliesBfloat16(parseProcessorFeatures('avx2 avx512f amx_tile i8mm bf16')));
});

test('8 bits pay where the processor has dot products of them', () => {
  for (const flag of ['avx512_vnni', 'avx_vnni']) {
    assert.ok(multipliesInt8(parseProcessorFeatures(`avx2 ${flag}`)), flag);
  }
  assert.ok(!multipliesInt8(parseProcessorFeatures('avx2 avx512f amx_tile i8mm')));
});

test('the reference BLAS is a warning with the line that replaces it', () => {
  const reference = blasFinding({ kind: 'reference', path: '/usr/lib/blas/libblas.so.3' });
  assert.equal(reference.mark, 'warn');
  assert.match(reference.remedy ?? '', /apt-get install .*libopenblas/);
  assert.equal(blasFinding({ kind: 'openblas' }).mark, 'ok');
  assert.equal(blasFinding({ kind: 'built-in' }).mark, 'ok');
});

test('the weights line names the model that runs without --checkpoint, warns of several, and notes that there is none', () => {
  const directory = mkdtempSync(join(tmpdir(), 'weights-'));
  const finding = () => weightsFinding([`${directory}/`]);
  try {
    assert.equal(weightsFinding([`${directory}/none/`]).mark, 'note');
    writeFileSync(join(directory, 'a.pth.tar'), new Uint8Array(100_000));
    writeFileSync(join(directory, 'README.md'), 'Weights.');
    assert.equal(finding().mark, 'note');
    assert.match(finding().text, /none ships/);
    assert.match(finding().remedy ?? '', /--checkpoint/);
    writeFileSync(join(directory, 'b.safetensors'), new Uint8Array(2_500_000));
    assert.equal(finding().mark, 'ok');
    assert.equal(finding().text, 'the default model is b.safetensors (2.5 MB)');
    writeFileSync(join(directory, 'c.safetensors'), '');
    assert.equal(finding().mark, 'warn');
    assert.match(finding().text, /several models \(b\.safetensors, c\.safetensors\): choose one with --checkpoint/);
    writeFileSync(join(directory, 'default.safetensors'), '');
    assert.equal(finding().text, 'the default model is default.safetensors (0.0 MB)');
    assert.equal(withoutLibtorch('it is missing', false, [directory]).mark, 'fail');
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test('an exported model is the default where there is no model file, and runs without LibTorch', () => {
  const directory = mkdtempSync(join(tmpdir(), 'dagan-weights-'));
  try {
    mkdirSync(join(directory, 'starter'));
    writeFileSync(join(directory, 'starter', 'manifest.json'), '{}');
    writeFileSync(join(directory, 'starter', 'model.safetensors'), new Uint8Array(1_200_000));
    assert.equal(weightsFinding([directory]).text, 'the default model is starter (1.2 MB)');
    const { mark, text, remedy } = withoutLibtorch('it is missing', false, [directory]);
    assert.deepEqual([mark, remedy], ['note', 'npx dagan setup']);
    assert.match(text, /^not set up: the default model runs on ONNX Runtime/);
    assert.deepEqual(withoutLibtorch('it is broken', true, [directory]).mark, 'fail');
    rmSync(join(directory, 'starter', 'model.safetensors'));
    assert.match(weightsFinding([directory]).text, /starter.model\.safetensors is missing$/);
    mkdirSync(join(directory, 'other'));
    writeFileSync(join(directory, 'other', 'manifest.json'), '{}');
    assert.match(weightsFinding([directory]).text, /several models \(other, starter\): choose one/);
    assert.equal(withoutLibtorch('it is missing', false, [directory]).mark, 'fail');
  } finally {
    rmSync(directory, { recursive: true });
  }
});
