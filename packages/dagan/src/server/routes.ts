// The addresses of jobs, on hono. `openapi.ts` describes them, and a test holds the two together.
import { stat } from 'node:fs/promises';
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, Hono } from 'hono';
import { streamSSE } from 'hono/streaming';
import { isDiskFull } from '../media/errors.js';
import { motionNames } from '../pipelines/motion-file.js';
import { VERSION } from '../version.js';
import { refuseForeignPages, requireToken } from './access.js';
import type { JobQueue } from './jobs/job-queue.js';
import { receiveJob } from './jobs/upload.js';
import { openApi } from './openapi.js';
import { RequestProblem } from './problems.js';
import { sendFile } from './send-file.js';

/** What the addresses of jobs begin with. */
export const PREFIX = '/v1';

/** Addresses that are open without the token: they tell nothing of jobs. */
const OPEN: readonly string[] = [`${PREFIX}/health`, `${PREFIX}/openapi.json`];

/** Milliseconds after which a stream of events that is silent sends a sign of life, as proxies end silent ones. */
const SIGN_OF_LIFE = 15_000;

/** Seconds after which whoever finds the queue or the disk full may ask again. */
const ASK_AGAIN = 30;

type Bindings = { Bindings: HttpBindings };

/** @param token what requests must send; none where this machine alone can ask */
export function routes(queue: JobQueue, token: string | undefined): Hono<Bindings> {
  const app = new Hono<Bindings>();
  app.use(async (context, next) => {
    refuseForeignPages(context.req.header('Origin'), context.req.header('Host'));
    if (!OPEN.includes(context.req.path)) requireToken(token, context.req.header('Authorization'));
    context.header('Cache-Control', 'no-store');
    await next();
  });
  app.onError((error, context) => {
    if (error instanceof RequestProblem) return problem(error, context);
    queue.tellFault(error);
    const told = isDiskFull(error)
      ? new RequestProblem('disk-full', 'the server has no room for what was sent')
      : new RequestProblem('internal', 'a fault of the server, which its log tells');
    return problem(told, context);
  });
  app.notFound((context) => problem(new RequestProblem('no-such-address', 'there is no such address'), context));

  const api = app.basePath(PREFIX);
  api.get('/health', (context) => context.json({ status: 'ok', version: VERSION }));
  api.get('/openapi.json', (context) => context.json(openApi(queue.limits)));
  api.get('/motions', (context) => context.json({ motions: motionNames() }));
  api.get('/jobs', (context) => context.json({ jobs: queue.list() }));
  api.post('/jobs', async (context) => {
    const job = await receiveJob(context.env.incoming, queue);
    return context.json(job, 202, { Location: `${PREFIX}/jobs/${job.id}` });
  });
  api.get('/jobs/:id', (context) => context.json(queue.get(context.req.param('id'))));
  api.delete('/jobs/:id', async (context) => {
    await queue.remove(context.req.param('id'));
    return context.body(null, 204);
  });
  api.post('/jobs/:id/cancel', async (context) => context.json(await queue.cancel(context.req.param('id'))));
  api.get('/jobs/:id/events', (context) => {
    const { id } = queue.get(context.req.param('id'));
    return events(context, queue, id);
  });
  api.get('/jobs/:id/result', async (context) => {
    const path = queue.result(context.req.param('id'));
    const { incoming, outgoing } = context.env;
    outgoing.setHeader('Content-Disposition', `attachment; filename="${path.replace(/^.*[/\\]/, '')}"`);
    const facts = await stat(path);
    await sendFile({ path, facts, fixed: false }, incoming, outgoing).catch((error: unknown) => {
      if (!outgoing.headersSent) throw error;
      queue.tellFault(error); // the answer has begun: no other can be given
    });
    return RESPONSE_ALREADY_SENT;
  });
  return app;
}

/** What happens to a job, as server-sent events, until it has finished or nobody listens. */
function events(context: Context<Bindings>, queue: JobQueue, id: string): Response {
  return streamSSE(context, async (stream) => {
    const gone = new AbortController();
    stream.onAbort(() => gone.abort());
    const alive = setInterval(() => void stream.write(':\n\n'), SIGN_OF_LIFE);
    try {
      for await (const { event, data } of queue.events(id, gone.signal)) {
        await stream.writeSSE({ event, data: JSON.stringify(data) });
      }
    } catch (error) {
      if (!gone.signal.aborted) throw error;
    } finally {
      clearInterval(alive);
    }
  });
}

function problem({ status, answer, code }: RequestProblem, context: Context<Bindings>): Response {
  if (code === 'queue-full' || code === 'disk-full') context.header('Retry-After', `${ASK_AGAIN}`);
  if (code === 'unauthorized') context.header('WWW-Authenticate', 'Bearer');
  return context.json(answer, status);
}
