// Finding LibTorch and compiling the addon, with small stand-ins for LibTorch that the tests compile themselves.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { blasOf, type FindOptions, parseVersionHeader } from '../src/build/find-libtorch.js';
import {
  addonPath,
  type CompileOptions,
  compileAddon,
  findCompiler,
  findLibTorch,
  loadProblem,
  parseLdd,
  readBuildRecord,
} from '../src/build/index.js';
import { buildInfo } from '../src/runtime.js';

const require = createRequire(import.meta.url);
const compiler = findCompiler().command;
let directory: string;

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'libtorch build '));
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** Compiles a shared library from C++ text. */
function sharedLibrary(file: string, code: string, ...flags: string[]): void {
  const source = `${file}.cc`;
  writeFileSync(source, code);
  execFileSync(compiler[0]!, [...compiler.slice(1), '-shared', '-fPIC', '-o', file, source, ...flags]);
  rmSync(source);
}

/** Writes `include/` and `lib/` of something that passes for a LibTorch. */
function standIn(name: string, { version = '2.4.1', error = '' } = {}): string {
  const root = join(directory, name, 'torch');
  const header = join(root, 'include/torch/csrc/api/include/torch');
  mkdirSync(header, { recursive: true });
  mkdirSync(join(root, 'lib'), { recursive: true });
  const [major, minor, patch] = version.split('.');
  const lines = [`MAJOR ${major}`, `MINOR ${minor}`, `PATCH ${patch}`].map((part) => `#define TORCH_VERSION_${part}`);
  writeFileSync(join(header, 'version.h'), `${lines.join('\n')}\n`);
  sharedLibrary(join(root, 'lib/libtorch_cpu.so'), 'int dagan_stand_in = 1;');
  sharedLibrary(join(root, 'lib/libc10.so'), error);
  return root;
}

function find(env: NodeJS.ProcessEnv, options: FindOptions = {}) {
  return findLibTorch({ ...options, env: { PATH: process.env.PATH, ...env } });
}

describe('finding LibTorch', () => {
  test('LIBTORCH decides alone, and what it names is described', () => {
    const root = standIn('complete');
    const found = find({ LIBTORCH: root, LIBTORCH_USE_PYTORCH: '1', PYTHON: '/no/such/python' });
    assert.equal(found.origin, 'LIBTORCH');
    assert.equal(found.version, '2.4.1');
    assert.deepEqual(found.libraryDirs, [join(root, 'lib')]);
    assert.deepEqual(found.includeDirs, [join(root, 'include'), join(root, 'include/torch/csrc/api/include')]);
    assert.deepEqual(found.libraries, ['torch_cpu', 'c10']);
    assert.equal(found.cuda, false);
    assert.equal(found.distributed.gloo, false);
    assert.match(found.distributed.why, /no Gloo process group/);
  });

  test('a LIBTORCH that is no LibTorch is an error that names it and what is missing', () => {
    const file = join(directory, 'file');
    writeFileSync(file, '');
    const empty = join(directory, 'empty');
    mkdirSync(empty);
    const headersOnly = standIn('headers only');
    rmSync(join(headersOnly, 'lib'), { recursive: true });
    assert.throws(
      () => find({ LIBTORCH: join(directory, 'nowhere') }),
      /LIBTORCH=.*nowhere does not exist.*include\/torch and lib\//,
    );
    assert.throws(() => find({ LIBTORCH: file }), /LIBTORCH=.*file is not a directory/);
    assert.throws(
      () => find({ LIBTORCH: empty }),
      /LIBTORCH=.*empty is not a LibTorch: it has no include\/torch.*version\.h/,
    );
    assert.throws(() => find({ LIBTORCH: headersOnly }), /is not a LibTorch: it has no lib\/libtorch_cpu/);
  });

  test('a LibTorch that is too old, or whose header states no version, is refused', () => {
    assert.throws(
      () => find({ LIBTORCH: standIn('old', { version: '1.12.1' }) }),
      /LibTorch 1\.12\.1 in .* is too old: 1\.13 or newer/,
    );
    const damaged = standIn('damaged');
    writeFileSync(join(damaged, 'include/torch/csrc/api/include/torch/version.h'), '#pragma once\n');
    assert.throws(() => find({ LIBTORCH: damaged }), /version\.h does not state a version/);
  });

  test("the one inside Python's torch is found without importing it", () => {
    const site = standIn('site packages');
    writeFileSync(join(site, '__init__.py'), 'raise SystemExit("imported")\n');
    const python = join(directory, 'python');
    // Where no Python is installed, its answer is given in its place.
    const script = [
      '#!/bin/sh',
      `command -v python3 >/dev/null || exec echo '${site}'`,
      `PYTHONPATH='${dirname(site)}' exec python3 "$@"`,
    ];
    writeFileSync(python, `${script.join('\n')}\n`);
    chmodSync(python, 0o755);
    const found = find({ LIBTORCH_USE_PYTORCH: '1', PYTHON: python });
    assert.equal(found.origin, 'python');
    assert.deepEqual(found.libraryDirs, [join(site, 'lib')]);
  });

  test('LIBTORCH_USE_PYTORCH without a usable torch is an error, not a fall back', () => {
    const python = join(directory, 'python-without-torch');
    writeFileSync(python, '#!/bin/sh\necho\n');
    chmodSync(python, 0o755);
    assert.throws(() => find({ LIBTORCH_USE_PYTORCH: '1', PYTHON: python }), /python-without-torch has no torch/);
    assert.throws(
      () => find({ LIBTORCH_USE_PYTORCH: 'true', PYTHON: '/no/such/python' }),
      /\/no\/such\/python cannot be run/,
    );
  });

  test("the system's is used when no variable is set, and its absence names the packages", () => {
    const root = standIn('system');
    const systemPlaces = [
      { include: join(directory, 'nowhere'), lib: join(directory, 'nowhere') },
      { include: join(root, 'include'), lib: join(root, 'lib') },
    ];
    assert.equal(find({ LIBTORCH: '', LIBTORCH_USE_PYTORCH: '0' }, { systemPlaces }).origin, 'system');
    assert.throws(
      () => find({}, { systemPlaces: [], platform: 'linux' }),
      (error: Error) => {
        assert.match(error.message, /sudo apt-get install .*libtorch-dev.*LIBTORCH.*LIBTORCH_USE_PYTORCH=1/);
        assert.equal((error as { notFound?: boolean }).notFound, true);
        return true;
      },
    );
  });

  test('the kind of C++ strings is read from the library', () => {
    const code = `#include <string>
      namespace c10 { struct SourceLocation { int line; }; struct Error { Error(SourceLocation, std::string); };
      Error::Error(SourceLocation, std::string) {} }`;
    const modern = standIn('modern strings', { error: `#define _GLIBCXX_USE_CXX11_ABI 1\n${code}` });
    const old = standIn('old strings', { error: `#define _GLIBCXX_USE_CXX11_ABI 0\n${code}` });
    assert.equal(find({ LIBTORCH: modern }).cxx11Abi, true);
    assert.equal(find({ LIBTORCH: old }).cxx11Abi, false);
  });

  test('CUDA is linked only when the loader finds all that its half needs', () => {
    const root = standIn('cuda');
    const lib = join(root, 'lib');
    const dependency = join(lib, 'libcublas.so.13');
    sharedLibrary(dependency, 'int dagan_cublas = 1;', '-Wl,-soname,libcublas.so.13');
    sharedLibrary(join(lib, 'libtorch_cuda.so'), '', '-Wl,--no-as-needed', dependency, '-Wl,-rpath,$ORIGIN');
    const whole = find({ LIBTORCH: root });
    assert.equal(whole.cuda, true);
    assert.deepEqual(whole.libraries, ['torch_cuda', 'c10_cuda', 'torch_cpu', 'c10']);
    rmSync(dependency);
    const part = find({ LIBTORCH: root });
    assert.equal(part.cuda, false);
    assert.match(part.cudaWhy, /libcublas\.so\.13/);
    assert.deepEqual(part.libraries, ['torch_cpu', 'c10']);
  });

  test('a CPU library that cannot be loaded is an error that names what it lacks', () => {
    const root = standIn('lacking');
    const runtime = join(root, 'lib/libcudart.so.13');
    sharedLibrary(runtime, 'int dagan_cudart = 1;', '-Wl,-soname,libcudart.so.13');
    sharedLibrary(join(root, 'lib/libtorch_cpu.so'), '', '-Wl,--no-as-needed', runtime);
    rmSync(runtime);
    assert.throws(
      () => find({ LIBTORCH: root }),
      /libtorch_cpu\.so .* needs libcudart\.so\.13\..*nvidia-cuda-runtime.*nvidia/,
    );
  });

  test('versions, loaders and BLAS libraries are read from their texts', () => {
    assert.equal(
      parseVersionHeader(
        '#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 11\n#define TORCH_VERSION_PATCH 0',
      ),
      '2.11.0',
    );
    assert.equal(parseVersionHeader('#define TORCH_VERSION_MAJOR 2'), undefined);
    const { missing, resolved } = parseLdd(
      '\tlinux-vdso.so.1 (0x1)\n\tlibblas.so.3 => /lib/libblas.so.3 (0x2)\n\tliba.so => not found\n\tliba.so => not found\n\t/lib64/ld-linux-x86-64.so.2 (0x3)\n',
    );
    assert.deepEqual(missing, ['liba.so']);
    assert.deepEqual([...resolved], [['libblas.so.3', '/lib/libblas.so.3']]);
    const kind = (name: string, path: string) => blasOf(new Map([[name, path]])).kind;
    assert.equal(kind('libblas.so.3', '/usr/lib/blas/libblas.so.3.99'), 'reference');
    assert.equal(kind('libblas.so.3', '/usr/lib/openblas-pthread/libblas.so.3'), 'openblas');
    assert.equal(kind('libmkl_rt.so.2', '/opt/libmkl_rt.so.2'), 'mkl');
    assert.equal(kind('libgomp.so.1', '/usr/lib/libgomp.so.1'), 'built-in');
  });
});

/** A small addon of two files and a header whose function `answer()` gives `value + 1`. */
function writeAddon(sources: string, value = 41): void {
  mkdirSync(sources, { recursive: true });
  writeFileSync(join(sources, 'value.h'), 'int value();\n');
  writeFileSync(join(sources, 'value.cc'), `#include "value.h"\nint value() { return ${value}; }\n`);
  writeFileSync(
    join(sources, 'addon.cc'),
    `#include <node_api.h>
    #include "value.h"
    static napi_value answer(napi_env env, napi_callback_info) {
      napi_value result;
      napi_create_int32(env, value() + 1, &result);
      return result;
    }
    NAPI_MODULE_INIT() {
      napi_value function;
      napi_create_function(env, "answer", NAPI_AUTO_LENGTH, answer, nullptr, &function);
      napi_set_named_property(env, exports, "answer", function);
      return exports;
    }
    `,
  );
}

/** What the addon's `answer()` gives, in a process of its own: this one could not load a second version of a file. */
function answerOf(addon: string): number {
  return Number(
    execFileSync(process.execPath, ['-p', 'require(process.argv[1]).answer()', addon], { encoding: 'utf8' }),
  );
}

describe('compiling the addon', () => {
  let options: CompileOptions & { sources: string; out: string };
  const leftovers = () => readdirSync(options.out, { recursive: true }).filter((name) => `${name}`.endsWith('.part'));

  before(() => {
    const libtorch = find({ LIBTORCH: standIn('to compile against') });
    options = { libtorch, sources: join(directory, 'native'), out: join(directory, 'out') };
    writeAddon(options.sources);
  });

  test('the first build compiles every file, and the addon works', async () => {
    const lines: string[] = [];
    const result = await compileAddon({ ...options, log: (line) => lines.push(line) });
    assert.deepEqual(result.compiled, ['addon.cc', 'value.cc']);
    assert.equal(answerOf(result.addon), 42);
    assert.match(lines.join('\n'), /compiling 2 of 2 files against LibTorch 2\.4\.1[\s\S]*value\.cc/);
    const record = await readBuildRecord(options.out);
    assert.equal(record?.libtorch.version, '2.4.1');
    assert.ok(record?.defines.includes('NAPI_VERSION=8'));
    assert.deepEqual(leftovers(), []);
  });

  test('a second build does nothing, even when files were touched without a change', async () => {
    utimesSync(join(options.sources, 'value.h'), new Date(), new Date());
    const before = statSync(join(options.out, 'libtorch.node')).mtimeMs;
    const result = await compileAddon(options);
    assert.deepEqual({ compiled: result.compiled, linked: result.linked }, { compiled: [], linked: false });
    assert.equal(statSync(result.addon).mtimeMs, before);
  });

  test('a changed source is compiled alone, a changed header or flag compiles all', async () => {
    writeAddon(options.sources, 1);
    const source = await compileAddon(options);
    assert.deepEqual(source.compiled, ['value.cc']);
    assert.equal(answerOf(source.addon), 2);
    writeFileSync(join(options.sources, 'value.h'), '// The value.\nint value();\n');
    assert.deepEqual((await compileAddon(options)).compiled, ['addon.cc', 'value.cc']);
    const flag = { ...options, env: { ...process.env, CXXFLAGS: '-DDAGAN_TEST=1 -g0' } };
    assert.deepEqual((await compileAddon(flag)).compiled, ['addon.cc', 'value.cc']);
    assert.deepEqual((await compileAddon(flag)).compiled, []);
    assert.deepEqual((await compileAddon(options)).compiled, [], 'objects of other flags are kept');
  });

  test('another LibTorch at the same place compiles all', async () => {
    const root = dirname(options.libtorch!.libraryDirs[0]!);
    sharedLibrary(join(root, 'lib/libtorch_cpu.so'), 'int dagan_stand_in[64] = {1};');
    assert.deepEqual((await compileAddon(options)).compiled, ['addon.cc', 'value.cc']);
  });

  test('a source that does not compile is named with its first error, and the old addon stays', async () => {
    const working = answerOf(join(options.out, 'libtorch.node'));
    writeFileSync(join(options.sources, 'value.cc'), '#include "value.h"\nint value() { return nonsense; }\n');
    await assert.rejects(compileAddon(options), (error: Error) => {
      assert.equal(error.name, 'CompileError');
      assert.match(
        error.message,
        /^value\.cc cannot be built against LibTorch 2\.4\.1[\s\S]*error: .*nonsense[\s\S]*Remedy: /,
      );
      const report = / is in (.*)\.$/m.exec(error.message)?.[1];
      assert.match(readFileSync(report!, 'utf8'), /nonsense/);
      return true;
    });
    assert.equal(answerOf(join(options.out, 'libtorch.node')), working);
    assert.deepEqual(leftovers(), []);
  });

  test('the C++ standard is that of the LibTorch', async () => {
    const sources = join(directory, 'native of today');
    const library = find({ LIBTORCH: standIn('of today', { version: '2.15.0' }) });
    writeAddon(sources);
    const value = '#include "value.h"\nint value() { return __cplusplus / 100; }\n';
    writeFileSync(join(sources, 'value.cc'), value);
    const out = join(directory, 'out of today');
    const today = await compileAddon({ libtorch: library, sources, out });
    assert.equal(answerOf(today.addon), 2021);
    const old = { ...library, version: '1.13.0' };
    assert.equal(answerOf((await compileAddon({ libtorch: old, sources, out })).addon), 2018);
  });

  test('remedies fit what is wrong: an old standard, an old compiler, a LibTorch that nobody has tried', async () => {
    const broken = (name: string, text: string, version: string, env = {}) => {
      const sources = join(directory, name);
      mkdirSync(sources, { recursive: true });
      writeFileSync(join(sources, 'value.cc'), text);
      const libtorch = { ...options.libtorch!, version };
      return compileAddon({
        libtorch,
        sources,
        out: join(directory, 'out of broken'),
        env: { ...process.env, ...env },
      });
    };
    const wants20 =
      '#if __cplusplus < 202002L\n#error C++20 or later compatible compiler is required to use ATen.\n#endif\n';
    await assert.rejects(
      broken('old standard', wants20, '2.15.0', { CXXFLAGS: '-std=c++17' }),
      /Remedy: LibTorch 2\.15\.0 is written in c\+\+20: take the older -std out of CXXFLAGS/,
    );
    const old = join(directory, 'old compiler');
    const script = [
      '#!/bin/sh',
      'case "$*" in',
      '*-std=c++20*) echo "c++: error: unrecognized command-line option \'-std=c++20\'" >&2; exit 1;;',
      'esac',
      `exec ${compiler.join(' ')} "$@"`,
    ];
    writeFileSync(old, `${script.join('\n')}\n`);
    chmodSync(old, 0o755);
    const link = join(tmpdir(), `dagan-old-compiler-${process.pid}`); // CXX is split at spaces
    symlinkSync(old, link);
    try {
      await assert.rejects(
        broken('old compiler sources', 'int value;\n', '2.15.0', { CXX: link }),
        /Remedy: LibTorch 2\.15\.0 is written in c\+\+20, which .* does not know: name GCC 11/,
      );
    } finally {
      rmSync(link);
    }
    const gone = 'struct Tensor {};\nbool named(const Tensor& tensor) { return tensor.has_names(); }\n';
    await assert.rejects(
      broken('interface', gone, '9.1.0'),
      /has_names[\s\S]*Remedy: LibTorch 9\.1\.0 is newer than 2\.15, up to which the addon is tested/,
    );
    await assert.rejects(
      broken('interface', gone, '2.14.0'),
      /Remedy: LibTorch 1\.13 and 2\.15 are known to compile with GCC 12, and this is .+: name another compiler/,
    );
  });

  test("NCCL is left out, and said to be, where NVIDIA's headers are there only in part", async () => {
    const root = standIn('partial NVIDIA');
    const include = join(root, 'include');
    const nvidia = join(dirname(root), 'nvidia/cu13/include');
    const write = (file: string, text: string) => {
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    };
    sharedLibrary(join(root, 'lib/libtorch_cuda.so'), '');
    sharedLibrary(join(root, 'lib/libc10_cuda.so'), '');
    write(join(include, 'torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp'), '#include <nccl.h>\n');
    write(join(nvidia, 'nccl.h'), '#include <cuda_runtime_api.h>\n');
    write(join(nvidia, 'cuda_runtime_api.h'), '#include <crt/host_config.h>\n');
    const libtorch = find({ LIBTORCH: root });
    assert.equal(libtorch.distributed.nccl, true);
    const sources = join(directory, 'native of partial');
    writeAddon(sources);
    const lines: string[] = [];
    const partial = {
      libtorch,
      sources,
      out: join(directory, 'out of partial'),
      log: (line: string) => lines.push(line),
    };
    const result = await compileAddon(partial);
    assert.equal(answerOf(result.addon), 42);
    assert.equal(result.libtorch.distributed.nccl, false);
    assert.match(lines.join('\n'), /NCCL is left out, of NVIDIA's headers crt\/host_config\.h is missing/);
    const record = async () => (await readBuildRecord(partial.out))?.defines.includes('USE_C10D_NCCL');
    assert.equal(await record(), false);
    write(join(nvidia, 'crt/host_config.h'), '');
    assert.equal((await compileAddon(partial)).libtorch.distributed.nccl, true);
    assert.equal(await record(), true);
  });

  test('a missing header comes with the package that holds it', async () => {
    writeFileSync(join(options.sources, 'value.cc'), '#include <gloo/no_such_header.h>\n');
    await assert.rejects(compileAddon(options), /Remedy: install Gloo's headers: .*libgloo-dev/);
    writeFileSync(join(options.sources, 'value.cc'), '#include <ATen/no_such_header.h>\n');
    await assert.rejects(
      compileAddon(options),
      /Remedy: the header ATen\/no_such_header\.h is missing: install LibTorch/,
    );
  });

  test('an addon with an undefined symbol never replaces one that works', async () => {
    const working = answerOf(join(options.out, 'libtorch.node'));
    writeFileSync(
      join(options.sources, 'value.cc'),
      '#include "value.h"\nint elsewhere();\nint value() { return elsewhere(); }\n',
    );
    await assert.rejects(compileAddon(options), /does not load: .*undefined symbol: .*elsewhere/);
    assert.equal(answerOf(join(options.out, 'libtorch.node')), working);
    assert.deepEqual(leftovers(), []);
  });

  test('a library that the linker does not find is named', async () => {
    writeAddon(options.sources, 2);
    const libtorch = { ...options.libtorch!, libraries: ['dagan_no_such_library'] };
    await assert.rejects(compileAddon({ ...options, libtorch }), /libdagan_no_such_library is missing/);
  });

  test('no compiler gives the line that installs one, a wrong CXX names itself', async () => {
    assert.throws(
      () => findCompiler({ PATH: join(directory, 'nowhere') }),
      /No C\+\+ compiler found.*(apt-get install .*g\+\+|xcode-select)/,
    );
    await assert.rejects(
      compileAddon({ ...options, env: { ...process.env, CXX: '/no/such/c++' } }),
      /CXX=\/no\/such\/c\+\+ is not a compiler/,
    );
  });

  test('a directory without sources is reported', async () => {
    await assert.rejects(
      compileAddon({ ...options, sources: join(directory, 'nowhere') }),
      /nowhere holds no C\+\+ sources/,
    );
  });
});

test('the command line ends with code 1 and one clear line when LIBTORCH is wrong', () => {
  const main = fileURLToPath(new URL('../src/build/main.js', import.meta.url));
  const run = spawnSync(process.execPath, [main, '--out', join(directory, 'cli')], {
    encoding: 'utf8',
    env: { ...process.env, LIBTORCH: join(directory, 'nowhere') },
  });
  assert.equal(run.status, 1);
  assert.equal(run.stderr.trim().split('\n').length, 1);
  assert.match(run.stderr, /nowhere does not exist/);
});

test('the built addon loads with every symbol bound and is of the LibTorch that its record names', async () => {
  assert.equal(loadProblem(addonPath()), undefined);
  const record = await readBuildRecord(dirname(addonPath()));
  assert.equal(buildInfo().version, record?.libtorch.version);
  assert.equal(typeof require(addonPath()).lookup, 'function');
});

test('LibTorch that was built without CUDA is not loaded to count its devices', () => {
  const folder = join(directory, 'recorded');
  mkdirSync(folder);
  const runtime = new URL('../src/runtime.js', import.meta.url).href;
  const count = (record: string) => {
    writeFileSync(join(folder, 'libtorch.json'), record);
    const program = `import { cudaDevices } from '${runtime}'; console.log(cudaDevices());`;
    return spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      env: { ...process.env, DAGAN_LIBTORCH_ADDON: join(folder, 'libtorch.node') }, // is not there, so it cannot be loaded
    });
  };
  assert.equal(count('{"libtorch":{"cuda":false}}').stdout, '0\n');
  for (const record of ['{"libtorch":{"cuda":true}}', '{}', 'no JSON']) {
    assert.match(count(record).stderr, /has not been built/);
  }
});
