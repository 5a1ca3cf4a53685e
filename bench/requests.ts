/** The chat requests that the load generator sends, as bytes. */

export interface RequestPlan {
  readonly port: number;
  /** What this contestant needs beside the usual headers. */
  readonly headers: Readonly<Record<string, string>>;
  readonly model: string;
  readonly stream: boolean;
  /** Size of the body; 0: as small as it gets (some 150 bytes). */
  readonly bodyBytes: number;
}

const prompt = 'Answer "briefly":\n\twhy is the sky blue, and why is it red in the evening?\n';

/** A request with head and body. Bodies above 1 MB are one image as base64, smaller ones long text with the usual escapes. */
export function requestBytes(plan: RequestPlan): Buffer {
  const body = bodyOf(plan);
  const extra = Object.entries(plan.headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:${plan.port}\r\nContent-Type: application/json\r\nAccept: */*\r\nUser-Agent: bench\r\n${extra.join('')}Content-Length: ${Buffer.byteLength(body)}\r\n\r\n`;
  return Buffer.from(head + body);
}

function bodyOf(plan: RequestPlan): string {
  const opening = { model: plan.model, stream: plan.stream };
  const small = JSON.stringify({ ...opening, messages: [{ role: 'user', content: prompt }] });
  const missing = plan.bodyBytes - small.length;
  if (missing <= 0) return small;
  if (plan.bodyBytes > 1e6) {
    const url = `data:image/png;base64,${'iVBORw0KGgoAAAANSUhEUgAA'.repeat(Math.ceil(missing / 24)).slice(0, missing - 22)}`;
    return JSON.stringify({ ...opening, messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url } }] }] });
  }
  const escaped = JSON.stringify(prompt).length - 2;
  const content = prompt.repeat(1 + Math.ceil(missing / escaped));
  return JSON.stringify({ ...opening, messages: [{ role: 'user', content }] });
}
