/** The error that a guard ends a request or an answer with. */
import { GatewayError } from '../../errors.ts';
import { headerEditsOf } from '../header-edits.ts';
import { type RejectionOptions, rejectionMessage } from './options.ts';

/**
 * With a body of the configuration that body is the answer, as it is, as with agentgateway. Without one it is an error in the
 * client's own protocol, which its SDK can read.
 */
export function rejectionOf(options: RejectionOptions | undefined): () => GatewayError {
  const { body, status = 403, headers: edits } = options ?? {};
  const headers: Record<string, string> = {};
  if (edits !== undefined && edits !== null) {
    const { add, set, remove } = headerEditsOf(edits);
    for (const [name, value] of add) headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
    for (const [name, value] of set) headers[name] = value;
    for (const name of remove) delete headers[name];
  }
  const verbatim = body === undefined ? {} : { verbatim: { text: body, contentType: undefined } };
  return () =>
    new GatewayError('guard_rejected', body === undefined || body === '' ? rejectionMessage : body, {
      status,
      headers,
      ...verbatim,
    });
}

/** agentgateway's words when a guard could not decide. */
export function guardFailed(cause: unknown): GatewayError {
  return new GatewayError('guard_failed', 'failed to process LLM request: prompt guard failed', { cause });
}
