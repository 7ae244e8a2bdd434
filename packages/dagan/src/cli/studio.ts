// `dagan studio`: the studio, DaGAN in a browser tab, served on this machine together with a model.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { isBuilt } from '@dagan/libtorch';
import { Command } from 'commander';
import { exportedFiles, readManifest } from '../export/exported-folder.js';
import { MANIFEST_NAME } from '../export/manifest.js';
import { packageFolder } from '../package-folder.js';
import { exportOnce } from '../pipelines/choose-engine.js';
import { defaultCheckpoint, defaultExport } from '../pipelines/default-model.js';
import { openBrowser } from '../server/browser.js';
import type { StudioFolders, StudioModel } from '../server/studio-files.js';
import { UserError } from './errors.js';
import { addCommonOptions, type CommonOptions, wholeNumber } from './options.js';
import { printJson, Reporter } from './report.js';

type StudioOptions = CommonOptions & { checkpoint?: readonly string[]; host: string; port?: number; open?: boolean };

/** The port where none is named and this one is free: browsers keep model and permissions by address, port included. */
const USUAL_PORT = 8347;

/** The built page: that of the repository, else of the installed package. */
const PAGE = packageFolder('@dagan/studio', import.meta.url, 'dist/page/');

const EXAMPLES = `
Everything is computed in the browser: pictures, clips and the camera's pictures never leave it.

Examples:
  dagan studio --open
  dagan studio --checkpoint exported/ --port 8080
  dagan studio --checkpoint one/ --checkpoint another/
  dagan studio --checkpoint model.safetensors`;

export function studioCommand(): Command {
  const command = new Command('studio')
    .description('serve the studio, which animates portraits in a browser tab, on this machine')
    .option(
      '--checkpoint <model>',
      'an exported model (a folder that `dagan export` wrote), a folder of several, or a model file where LibTorch is there ' +
        'to export it; given more than once, the page offers a choice; default: the one in weights/',
      (value: string, before: readonly string[] = []) => [...before, value],
    )
    .option(
      '--port <n>',
      `the port to serve on; 0 is one that is free (default: ${USUAL_PORT}, or one that is free)`,
      wholeNumber(0, 65535),
    )
    .option(
      '--host <address>',
      'the address to serve on; the page works from 127.0.0.1 and, behind a proxy, from https alone',
      '127.0.0.1',
    )
    .option('--open', 'open the page in the default browser');
  return addCommonOptions(command).addHelpText('after', EXAMPLES).action(runStudio);
}

async function runStudio(options: StudioOptions): Promise<void> {
  const reporter = new Reporter(options);
  const { url } = await serve(await studioFolders(options, reporter), options);
  if (options.json) printJson({ type: 'result', url });
  else process.stdout.write(`${url}\n`);
  reporter.notice('Ctrl-C ends it');
  if (options.open) {
    openBrowser(url, (program) =>
      reporter.warn(`no browser could be opened (${program} is missing): open ${url} yourself`),
    );
  }
}

/** Serves at the port that is named, else at the usual one, else at any. */
async function serve(studio: StudioFolders, { host, port }: StudioOptions): Promise<{ url: string }> {
  const { startServer } = await import('../server/server.js'); // loaded here, as few commands need it
  if (port !== undefined) return startServer({ studio, host, port });
  return startServer({ studio, host, port: USUAL_PORT }).catch(() => startServer({ studio, host, port: 0 }));
}

/**
 * The page, and the models that it is to be served with.
 *
 * @throws UserError saying how to come by what is missing
 */
export async function studioFolders(
  { checkpoint = [] }: { checkpoint?: string | readonly string[] },
  reporter: Reporter,
): Promise<StudioFolders> {
  if (PAGE === undefined || !existsSync(join(PAGE, 'index.html'))) {
    throw new UserError(
      'the studio is not there: install it (npm install @dagan/studio), or in the repository build it (npm run studio)',
    );
  }
  const named = [checkpoint].flat();
  const folders: string[] = [];
  for (const one of named.length > 0 ? named : [undefined]) folders.push(...(await modelFolders(one, reporter)));
  const models: StudioModel[] = [];
  for (const folder of folders) models.push(modelIn(folder, models, reporter));
  return { page: PAGE, models };
}

/** An exported model, under a name that no other has. */
function modelIn(folder: string, others: readonly StudioModel[], reporter: Reporter): StudioModel {
  const manifest = readManifest(folder);
  const { precision, metadata } = manifest;
  reporter.notice(`model: ${folder} (${[metadata.name, precision].filter((part) => part).join(', ')})`);
  const own = basename(resolve(folder));
  const name = metadata.name ?? own;
  const isTaken = others.some((other) => other.name === name);
  return {
    name: isTaken ? `${name} (${own})` : name,
    folder,
    files: [MANIFEST_NAME, ...exportedFiles(manifest).map(({ file }) => file)],
  };
}

/**
 * The folders of the exported models to serve.
 *
 * @throws UserError saying how to come by one
 */
async function modelFolders(checkpoint: string | undefined, reporter: Reporter): Promise<string[]> {
  if (checkpoint !== undefined) {
    if (!existsSync(checkpoint)) throw new UserError(`${checkpoint}: no such file or folder`);
    if (statSync(checkpoint).isDirectory()) {
      const isModel = (folder: string): boolean => existsSync(join(folder, MANIFEST_NAME));
      if (isModel(checkpoint)) return [checkpoint];
      const below = readdirSync(checkpoint)
        .sort()
        .map((name) => join(checkpoint, name));
      const models = below.filter(isModel);
      if (models.length > 0) return models;
      throw new UserError(
        `${checkpoint}: holds no ${MANIFEST_NAME}, so it is no exported model (\`dagan export\` makes one)`,
      );
    }
  } else {
    const exported = defaultExport();
    if (exported !== undefined) return [exported];
    if (defaultCheckpoint() === undefined) {
      throw new UserError(
        'there is no model: put an exported one into weights/, or name one with --checkpoint ' +
          '(`dagan export --checkpoint model.safetensors -o exported/` makes one)',
      );
    }
  }
  if (!isBuilt()) {
    throw new UserError(
      `LibTorch has not been set up, and ${checkpoint ?? defaultCheckpoint()} needs it to be exported: ` +
        'run "npx dagan setup", or name the folder of an exported model with --checkpoint',
    );
  }
  // Half the download; browsers compute in float32 where they have to.
  return [await exportOnce({ checkpoint }, reporter.tell, 'float16')];
}
