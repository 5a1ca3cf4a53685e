/** Rewrites requests and answers by expressions (agentgateway http/transformation_cel.rs). */
import type { Context, MiddlewareHandler } from 'hono';
import * as z from 'zod';
import { absenceIn, type Moment } from '../cel/absent.ts';
import type { CelExpression } from '../cel/expression.ts';
import { GatewayError } from '../errors.ts';
import type { AttemptEdit, Exchange, GatewayEnv } from '../exchange.ts';
import type { JsonDraft } from '../json/object-text.ts';
import { readObject } from '../json/read-object.ts';
import { createAnswerMemory } from './answer-memory.ts';
import { withConditions } from './conditional.ts';
import { definePolicy, type PolicyScope } from './policy.ts';
import { type AnswerReader, answerReader, answerRewriteOf, replaceAnswer } from './transformation-answers.ts';
import { bodyFrom, type EditOptions, editsField, expressionsIn, headerEditOf } from './transformation-edits.ts';
import { answerSubject, attemptSubject, requestSubject } from './transformation-subjects.ts';

const shape = {
  request: editsField('request').optional().describe('Edits of the request, before it is matched (listener) or sent on.'),
  response: editsField('response')
    .optional()
    .describe(
      'Edits of the answer. With a `body`, or an expression that reads `response.body`, the answer is read whole first, up to the limit for bodies: streams arrive in one piece.',
    ),
};
const optionsField = z.strictObject(shape);

export type TransformationsOptions = z.output<typeof optionsField>;

const plain = definePolicy<TransformationsOptions>({
  name: 'transformations',
  about: 'Rewrites headers, path, method, status, bodies and metadata by CEL expressions.',
  places: ['listener', 'route', 'backend'],
  options: optionsField,
  example: `transformations:
  request:
    set:
      x-user: jwt.sub
      ":path": request.path.stripPrefix("/api")
  response:
    remove: [server]
`,

  onRequest(options, scope) {
    warnOf(options.request, 'request.', 'request', scope);
    warnOf(options.response, 'response.', 'answer', scope);
    const editRequest = requestEditOf(options.request);
    const editAnswer = answerEditOf(options.response, scope);
    if (editRequest === undefined && editAnswer === undefined) return undefined;
    return middlewareOf(editRequest, editAnswer);
  },

  onBackendAttempt(options, scope) {
    warnOf(options.request, 'request.', 'attempt', scope);
    warnOf(options.response, 'response.', 'answer', scope);
    return backendEditOf(options, scope);
  },

  onBackendAnswer({ response }) {
    const edit = headerEditOf(response);
    if (edit === undefined) return undefined;
    // `:status` is set by the rewrite of the answer, which `onBackendAttempt` adds: an edit of headers cannot.
    return (exchange, answer) =>
      edit(
        exchange,
        answerSubject(exchange, answer.headers, { answer }, () => undefined),
      );
  },
});

export const transformations = withConditions(plain, (condition) =>
  z.strictObject({ ...shape, ...condition }).transform(({ condition: when, ...options }) => ({ condition: when, options })),
);

/** Whether answers are read whole before they go on. */
export function readsWholeAnswers(given: z.output<typeof transformations.options>): boolean {
  const all = 'conditional' in given ? given.conditional.map(({ options }) => options) : [given];
  return all.some(({ response }) => readsAnswerBody(response));
}

function readsAnswerBody(edits: EditOptions | undefined): boolean {
  return edits?.body !== undefined || expressionsIn(edits).some(([, { needs }]) => needs.responseBody);
}

function warnOf(edits: EditOptions | undefined, prefix: string, moment: Moment, { warn }: PolicyScope): void {
  for (const [place, expression] of expressionsIn(edits)) {
    const absence = absenceIn(expression, moment);
    if (absence !== undefined) warn(`${prefix}${place}: ${absence}`);
  }
}

function readsRequestBody(edits: EditOptions | undefined): boolean {
  return expressionsIn(edits).some(([, { needs }]) => needs.requestBody);
}

type RequestEdit = (exchange: Exchange) => void | Promise<void>;

function requestEditOf(edits: EditOptions | undefined): RequestEdit | undefined {
  const editHeaders = headerEditOf(edits);
  const { body } = edits ?? {};
  if (editHeaders === undefined && body === undefined) return undefined;
  const apply = (exchange: Exchange): void => {
    const subject = requestSubject(exchange);
    editHeaders?.(exchange, subject);
    if (body !== undefined) exchange.bodies.replace(exchange, bodyFrom(subject, body));
  };
  // A body that is replaced is read as well: what the client sends must go somewhere.
  if (body === undefined && !readsRequestBody(edits)) return apply;
  return async (exchange) => {
    await exchange.bodies.read(exchange);
    apply(exchange);
  };
}

interface AnswerEditing {
  /** The answer must come as a stream of its own. */
  readonly readsAnswer: boolean;
  readonly readsRequest: boolean;
  edit(c: Context<GatewayEnv>): void | Promise<void>;
}

function answerEditOf(edits: EditOptions | undefined, scope: PolicyScope): AnswerEditing | undefined {
  const editHeaders = headerEditOf(edits);
  const { body } = edits ?? {};
  if (editHeaders === undefined && body === undefined) return undefined;
  const readsBody = readsAnswerBody(edits);
  const setsStatus = edits?.set[':status'] !== undefined || edits?.add[':status'] !== undefined;
  const reader =
    readsBody || setsStatus ? answerReader(scope.state.kept('buffer/answers', createAnswerMemory), scope) : undefined;
  return {
    readsAnswer: readsBody || setsStatus,
    readsRequest: readsRequestBody(edits),
    edit: (c) =>
      reader === undefined ? editInPlace(c, editHeaders) : editWhole(c, editHeaders, body, readsBody ? reader : undefined),
  };
}

type HeaderEditing = ReturnType<typeof headerEditOf>;

function editInPlace(c: Context<GatewayEnv>, editHeaders: HeaderEditing): void {
  const { status, headers } = c.res;
  editHeaders?.(
    c.env,
    answerSubject(c.env, headers, { answer: { status, headers } }, () => undefined),
  );
}

async function editWhole(
  c: Context<GatewayEnv>,
  editHeaders: HeaderEditing,
  body: CelExpression | undefined,
  reader: AnswerReader | undefined,
): Promise<void> {
  const exchange = c.env;
  const bytes = await reader?.read(c);
  const made = { status: c.res.status, headers: new Headers(c.res.headers), body: bytes };
  const { status } = made;
  const extras = { answer: { status, headers: made.headers, body: bytes } };
  const subject = answerSubject(exchange, made.headers, extras, (to) => {
    made.status = to;
  });
  editHeaders?.(exchange, subject);
  if (body !== undefined) {
    made.body = bodyFrom(subject, body);
    made.headers.delete('content-length');
  }
  replaceAnswer(c, made);
}

function middlewareOf(editRequest: RequestEdit | undefined, editing: AnswerEditing | undefined): MiddlewareHandler<GatewayEnv> {
  return async (c, next) => {
    const exchange = c.env;
    const edited = editRequest?.(exchange);
    if (edited !== undefined) await edited;
    if (editing === undefined) return next();
    if (editing.readsAnswer) exchange.answerIsRead = true;
    if (!editing.readsRequest) {
      await next();
      return editing.edit(c);
    }
    await exchange.bodies.read(exchange);
    // Once an upstream has it, it would be let go; these expressions still read it.
    exchange.bodyHolds++;
    try {
      await next();
      await editing.edit(c);
    } finally {
      exchange.bodyHolds--;
      exchange.bodies.release(exchange);
    }
  };
}

/** Edits of each try, where the policy stands on a backend; the answer's body and status change by a rewrite. */
function backendEditOf({ request, response }: TransformationsOptions, scope: PolicyScope): AttemptEdit | undefined {
  const editHeaders = headerEditOf(request);
  const { body } = request ?? {};
  const rewrite = answerRewriteOf(response, scope);
  if (editHeaders === undefined && body === undefined && rewrite === undefined) return undefined;
  const readsBody = readsRequestBody(request) || body !== undefined;
  const apply: AttemptEdit = (attempt) => {
    const subject = attemptSubject(attempt, {});
    editHeaders?.(attempt.exchange, subject);
    if (body !== undefined) {
      const bytes = bodyFrom(subject, body);
      attempt.body = attempt.body === undefined ? undefined : draftOf(bytes);
      if (attempt.body === undefined) attempt.replacedBody = bytes;
    }
    if (rewrite !== undefined) attempt.rewrites = [...(attempt.rewrites ?? []), rewrite(attempt.exchange)];
  };
  if (!readsBody) return apply;
  return async (attempt) => {
    if (attempt.exchange.heldBody === undefined && attempt.exchange.call === undefined)
      await attempt.exchange.bodies.read(attempt.exchange);
    apply(attempt);
  };
}

/** What later policies may edit member by member; undefined for what is no JSON object. */
function draftOf(bytes: Uint8Array): JsonDraft | undefined {
  try {
    return readObject(bytes).draft();
  } catch (thrown) {
    if (thrown instanceof GatewayError) return undefined;
    throw thrown;
  }
}
