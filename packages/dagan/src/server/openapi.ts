// The interface as an OpenAPI 3.1 document, from which clients can be made.
import { motionNames } from '../pipelines/motion-file.js';
import { VERSION } from '../version.js';
import { JOB_STATES } from './jobs/job.js';
import { jobOptionsSchema } from './jobs/job-options.js';
import type { JobLimits } from './jobs/job-queue.js';
import { KINDS } from './jobs/upload.js';
import { REQUEST_PROBLEMS, type RequestProblemCode } from './problems.js';

const schema = (name: string): object => ({ $ref: `#/components/schemas/${name}` });
const json = (description: string, body: object): object => ({
  description,
  content: { 'application/json': { schema: body } },
});
const object = (properties: Readonly<Record<string, object>>, required = Object.keys(properties)): object => ({
  type: 'object',
  properties,
  required,
});
const text = { type: 'string' };
const whole = { type: 'integer', minimum: 0 };
const number = { type: 'number', minimum: 0 };
const time = { type: 'string', format: 'date-time' };

/** Answers to refused requests, by status. What is named must be among what `problems.ts` knows. */
function problems(...codes: RequestProblemCode[]): Record<string, object> {
  const all: RequestProblemCode[] = [...codes, 'foreign-name', 'foreign-origin', 'internal'];
  const statuses = [...new Set(all.map((code) => REQUEST_PROBLEMS[code]))];
  return Object.fromEntries(
    statuses.map((status) => {
      const names = all.filter((code) => REQUEST_PROBLEMS[code] === status);
      return [`${status}`, json(names.map((code) => `\`${code}\``).join(', '), schema('Problem'))];
    }),
  );
}

const JOB = object(
  {
    id: { type: 'string', format: 'uuid' },
    state: { enum: JOB_STATES },
    portrait: { ...text, description: 'name of the file as it was sent' },
    driving: { ...text, description: 'likewise, or name of the motion template' },
    options: schema('Options'),
    created: time,
    started: time,
    finished: time,
    attempts: { ...whole, description: 'how often it was begun: one that ran when the server ended is begun again' },
    position: { ...whole, description: 'how many jobs are before it, while it is queued' },
    progress: schema('Progress'),
    notices: { type: 'array', items: schema('Notice') },
    result: object(
      {
        frames: whole,
        width: whole,
        height: whole,
        bytes: whole,
        faces: { ...whole, description: 'how many were animated, where several were asked for' },
        seconds: { ...number, description: 'from the first frame to the finished file' },
        faceSeconds: { ...number, description: 'before that, in which faces were looked for' },
        stages: object({ source: number, drive: number, generate: number }),
      },
      ['frames', 'width', 'height', 'bytes', 'seconds', 'faceSeconds', 'stages'],
    ),
    error: object({ code: text, message: text, values: {} }, ['code', 'message']),
  },
  ['id', 'state', 'portrait', 'driving', 'options', 'created', 'attempts', 'notices'],
);

const NOTICE = object({ type: { enum: ['notice', 'warning'] }, code: text, message: text, values: {} });

const FORM = object(
  {
    portrait: { ...text, format: 'binary', description: `a picture or a clip: ${KINDS.portrait.join(' ')}` },
    driving: {
      description: `a file (${KINDS.driving.join(' ')}), or the name of a motion template that is there`,
      anyOf: [
        { ...text, format: 'binary' },
        { ...text, enum: motionNames() },
      ],
    },
    options: schema('Options'),
  },
  ['portrait', 'driving'],
);

const EVENTS =
  'Server-sent events: `job` (a Job; first, and whenever its state changes), `progress` (a Progress) and `notice` ' +
  '(a Notice), until the job has finished';

/** The document of a server. */
export function openApi({ upload, waiting, time: seconds, keep }: JobLimits): object {
  const limits = `Requests of up to ${upload} bytes, up to ${waiting} jobs that wait, ${seconds / 1000} s a job; results are kept for ${keep / 1000} s.`;
  const open = { security: [] };
  const id = [{ name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } }];
  const job = (description: string): object => ({ 200: json(description, schema('Job')) });
  return {
    openapi: '3.1.0',
    info: { title: 'dagan', version: VERSION, description: `Animates portraits. ${limits}` },
    servers: [{ url: '/' }],
    security: [{ token: [] }],
    paths: {
      '/v1/health': {
        get: {
          ...{ operationId: 'health', summary: 'Whether the server works', ...open },
          responses: { 200: json('it does', object({ status: { const: 'ok' }, version: text })), ...problems() },
        },
      },
      '/v1/openapi.json': {
        get: {
          ...{ operationId: 'describe', summary: 'This document', ...open },
          responses: { 200: json('OpenAPI 3.1', { type: 'object' }), ...problems() },
        },
      },
      '/v1/motions': {
        get: {
          ...{ operationId: 'listMotions', summary: 'Names of the motion templates that are there' },
          responses: {
            200: json('names', object({ motions: { type: 'array', items: text } })),
            ...problems('unauthorized'),
          },
        },
      },
      '/v1/jobs': {
        get: {
          ...{ operationId: 'listJobs', summary: 'All jobs that are kept, the oldest first' },
          responses: {
            200: json('jobs', object({ jobs: { type: 'array', items: schema('Job') } })),
            ...problems('unauthorized'),
          },
        },
        post: {
          ...{ operationId: 'createJob', summary: 'Sends what is to be animated' },
          requestBody: {
            required: true,
            content: {
              'multipart/form-data': { schema: FORM, encoding: { options: { contentType: 'application/json' } } },
            },
          },
          responses: {
            202: {
              ...json('the job, which waits or runs', schema('Job')),
              headers: { Location: { description: 'its address', schema: text } },
            },
            ...problems(
              'unauthorized',
              'bad-request',
              'bad-options',
              'too-large',
              'unknown-kind',
              'queue-full',
              'disk-full',
            ),
          },
        },
      },
      '/v1/jobs/{id}': {
        parameters: id,
        get: {
          ...{ operationId: 'getJob', summary: 'How a job is' },
          responses: { ...job('the job'), ...problems('unauthorized', 'no-such-job') },
        },
        delete: {
          ...{ operationId: 'removeJob', summary: 'Stops a job and removes it with its result' },
          responses: { 204: { description: 'it is gone' }, ...problems('unauthorized', 'no-such-job') },
        },
      },
      '/v1/jobs/{id}/cancel': {
        parameters: id,
        post: {
          ...{
            operationId: 'cancelJob',
            summary: 'Stops a job; answered when it has stopped. One that has finished stays',
          },
          responses: { ...job('the job, cancelled or finished before'), ...problems('unauthorized', 'no-such-job') },
        },
      },
      '/v1/jobs/{id}/events': {
        parameters: id,
        get: {
          ...{ operationId: 'watchJob', summary: 'What happens to a job' },
          responses: {
            200: { description: EVENTS, content: { 'text/event-stream': { schema: text } } },
            ...problems('unauthorized', 'no-such-job'),
          },
        },
      },
      '/v1/jobs/{id}/result': {
        parameters: id,
        get: {
          ...{ operationId: 'getResult', summary: 'The animation, or a part of the file (Range)' },
          responses: {
            200: { description: 'the file', content: { '*/*': { schema: { ...text, format: 'binary' } } } },
            206: { description: 'a part of it' },
            304: { description: 'it is as its ETag says' },
            416: { description: 'the file has no such part' },
            ...problems('unauthorized', 'no-such-job', 'no-result'),
          },
        },
      },
    },
    components: {
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'where the server has a token' } },
      schemas: {
        Job: JOB,
        Options: jobOptionsSchema(),
        Progress: object({ label: text, done: whole, total: whole }, ['label', 'done']),
        Notice: NOTICE,
        Problem: object({ error: object({ code: text, message: text, values: {} }, ['code', 'message']) }),
      },
    },
  };
}
