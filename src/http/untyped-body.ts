/**
 * The body of an answer that shall carry no content type. A Response made of text gets one of its own; made of bytes it gets
 * one on Bun, when it is sent; made of a stream it never does, and Bun sends a length all the same.
 */
export function untypedStream(bytes: Uint8Array): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(bytes as Uint8Array<ArrayBuffer>);
      controller.close();
    },
  });
}
