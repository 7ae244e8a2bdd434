// What is sent for a job: a form whose files go to disk as they arrive, within a limit.
import { createWriteStream } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { basename, extname } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { Busboy, type BusboyHeaders, type BusboyInstance } from '@fastify/busboy';
import { isDiskFull, toMediaError } from '../../media/errors.js';
import { PICTURE_EXTENSIONS } from '../../media/pictures/images.js';
import { motionNames } from '../../pipelines/motion-file.js';
import { MOTION_ENDING } from '../../pipelines/motion-format.js';
import { CLIP_EXTENSIONS } from '../../pipelines/pairs.js';
import { RequestProblem } from '../problems.js';
import type { JobView } from './job.js';
import { type JobOptions, jobOptions } from './job-options.js';
import type { JobQueue } from './job-queue.js';

/** Endings of the files that may be sent for a part: portraits may be clips too, and pictures drive. */
export const KINDS = {
  portrait: [...new Set([...PICTURE_EXTENSIONS, ...CLIP_EXTENSIONS])],
  driving: [...new Set([...CLIP_EXTENSIONS, ...PICTURE_EXTENSIONS, MOTION_ENDING])],
} as const;

type Role = keyof typeof KINDS;

/** Bytes that the options may take. */
const LONGEST_FIELD = 64 * 1024;

/** Letters of a file's name that are kept. */
const LONGEST_NAME = 200;

/** What has arrived. */
type Sent = {
  files: Partial<Record<Role, { name: string; stored: string }>>;
  fields: Map<string, string>;
};

/**
 * Takes in a form and adds the job that it asks for.
 *
 * @throws RequestProblem; then nothing of it is left
 */
export async function receiveJob(request: IncomingMessage, queue: JobQueue): Promise<JobView> {
  if (Number(request.headers['content-length'] ?? 0) > queue.limits.upload) throw tooLarge(queue);
  const giveBack = queue.reserve();
  const { folder } = queue;
  let id: string | undefined;
  try {
    id = await folder.create();
    const { files, fields } = await receive(request, queue, id);
    const { portrait, driving } = files;
    const template = fields.get('driving');
    const options = readOptions(fields.get('options'));
    if (!portrait) throw new RequestProblem('bad-request', 'the part "portrait" is missing: a picture or a clip');
    if ((driving === undefined) === (template === undefined)) {
      throw new RequestProblem('bad-request', 'send the part "driving" once: a file, or the name of a motion template');
    }
    if (template !== undefined && !motionNames().includes(template)) {
      const message = `there is no motion template of this name; there are ${motionNames().join(', ')}`;
      throw new RequestProblem('bad-request', message, { motions: motionNames() });
    }
    return await queue.add({
      ...{ id, portrait: portrait.name, driving: driving?.name ?? template!, options },
      files: { portrait: portrait.stored, driving: driving?.stored, result: `result.${options.format}` },
    });
  } catch (error) {
    if (id !== undefined) await folder.remove(id);
    throw error;
  } finally {
    giveBack();
  }
}

const tooLarge = ({ limits: { upload } }: JobQueue): RequestProblem =>
  new RequestProblem('too-large', `a request has at most ${upload} bytes`, { most: upload });

/** Stores the files of a form in the job's folder. */
async function receive(request: IncomingMessage, queue: JobQueue, id: string): Promise<Sent> {
  const sent: Sent = { files: {}, fields: new Map() };
  const parser = parserFor(request);
  const saving: Promise<void>[] = [];
  const streams: Readable[] = [];
  let left = queue.limits.upload;
  const counted = async function* (stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const bytes of stream) {
      left -= bytes.length;
      if (left < 0) throw tooLarge(queue);
      yield bytes;
    }
  };
  try {
    await new Promise<void>((resolve, reject) => {
      parser.on('file', (field, stream, fileName) => {
        streams.push(stream);
        stream.on('error', () => {}); // whoever reads it tells of it
        try {
          const file = fileFor(field, fileName, sent);
          const saved = save(stream, counted, queue.folder.place(id, file.stored));
          saved.catch(reject);
          saving.push(saved);
        } catch (error) {
          reject(error);
        }
      });
      parser.on('field', (field: string | undefined, value, _nameCut, valueCut) => {
        const known = field === 'options' || field === 'driving';
        if (!known || valueCut || sent.fields.has(field)) reject(unexpected(field));
        else sent.fields.set(field, value);
      });
      for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) {
        parser.on(limit, () => reject(new RequestProblem('bad-request', 'the form has more parts than a job needs')));
      }
      parser.on('error', (error) => reject(new RequestProblem('bad-request', `no form: ${(error as Error).message}`)));
      parser.on('finish', resolve);
      const closed = (): void => {
        if (!request.readableEnded) reject(new RequestProblem('bad-request', 'the form did not arrive whole'));
      };
      request.once('close', closed);
      if (request.destroyed) closed(); // it was gone before anybody listened
      request.pipe(parser);
    });
    await Promise.all(saving);
    return sent;
  } catch (error) {
    request.unpipe(parser);
    request.resume();
    for (const stream of streams) stream.destroy();
    await Promise.allSettled(saving);
    throw error;
  }
}

/** Writes what arrives to a new file. @throws MediaError with the file's name where there is no room */
async function save(
  stream: Readable,
  counted: (stream: AsyncIterable<Buffer>) => AsyncGenerator<Buffer>,
  path: string,
): Promise<void> {
  await pipeline(stream, counted, createWriteStream(path, { flags: 'wx' })).catch((error: unknown) => {
    throw isDiskFull(error) ? toMediaError(path, error, 'cannot be written') : error;
  });
}

function parserFor({ headers }: IncomingMessage): BusboyInstance {
  if (!/^multipart\/form-data\b/i.test(headers['content-type'] ?? '')) {
    throw new RequestProblem('bad-request', 'send a form: Content-Type multipart/form-data');
  }
  const limits = { files: 2, fields: 2, parts: 4, fieldSize: LONGEST_FIELD, headerPairs: 20, headerSize: 8192 };
  try {
    return new Busboy({ headers: headers as BusboyHeaders, limits });
  } catch (error) {
    throw new RequestProblem('bad-request', `no form: ${(error as Error).message}`);
  }
}

/** @param field the part's name, where it has one */
const unexpected = (field = ''): RequestProblem => {
  const name = JSON.stringify(field.slice(0, 50));
  return new RequestProblem('bad-request', `a part that is not taken, too long or there twice: ${name}`);
};

/** Where a file goes: under a name of ours, with an ending that is known. */
function fileFor(
  field: string | undefined,
  fileName: string | undefined,
  { files }: Sent,
): { name: string; stored: string } {
  if ((field !== 'portrait' && field !== 'driving') || files[field]) throw unexpected(field);
  const name = basename(fileName ?? '').slice(-LONGEST_NAME);
  const ending = name.toLowerCase().endsWith(MOTION_ENDING) ? MOTION_ENDING : extname(name).toLowerCase();
  if (!KINDS[field].includes(ending)) {
    const kinds = KINDS[field].join(' ');
    throw new RequestProblem('unknown-kind', `the file of "${field}" must have a name that ends in ${kinds}`, {
      kinds: KINDS[field],
    });
  }
  const file = { name, stored: `${field}${ending}` };
  files[field] = file;
  return file;
}

function readOptions(text = '{}'): JobOptions {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new RequestProblem('bad-options', 'the part "options" is no JSON');
  }
  const read = jobOptions.safeParse(value);
  if (read.success) return read.data;
  const problems = read.error.issues.map(({ path, message }) => ({ option: path.join('.'), message }));
  const told = problems.map(({ option, message }) => `${option || 'options'}: ${message}`).join('; ');
  throw new RequestProblem('bad-options', told.slice(0, 1000), { problems });
}
