/**
 * Inflates zstd bodies (RFC 8878) within bounds. fzstd believes a frame's header: a body of 20 bytes may ask it for 2 GiB of
 * window, or for a copy of an 8 MB window per three-byte block. So every frame is measured first, without decoding it.
 */
import { Decompress, decompress } from 'fzstd';
import { joinBytes } from '../json/splice.ts';

/** Why a body was not inflated. `too_large`: more than `maxBytes` would come out. `unusual`: valid perhaps, but not worth it. */
export type ZstdFault = 'too_large' | 'unusual' | 'corrupt';

export class ZstdError extends Error {
  readonly fault: ZstdFault;
  constructor(fault: ZstdFault) {
    super(`zstd: ${fault}`);
    this.fault = fault;
  }
}

/** Real bodies have one frame; each costs some set-up, so millions of empty ones would cost seconds. */
const maxFrames = 64;
/** Bytes that fzstd may move within its window, which it does once per block of a frame that does not tell its size. */
const maxWindowMoves = 2 ** 30;
const maxBlockBytes = 128 * 1024;

interface Frame {
  /** The frame's own bytes. */
  readonly bytes: Uint8Array;
  /** What the header says will come out; undefined when it does not. */
  readonly declaredBytes: number | undefined;
  readonly windowBytes: number;
  readonly blocks: number;
  /** At least as much as comes out. */
  readonly ceilingBytes: number;
}

/** All frames inflated, put together. Throws ZstdError. */
export function inflateZstd(bytes: Uint8Array, maxBytes: number): Uint8Array {
  const parts: Uint8Array[] = [];
  let total = 0;
  for (const frame of framesOf(bytes)) {
    const left = maxBytes - total;
    if ((frame.declaredBytes ?? 0) > left) throw new ZstdError('too_large');
    for (const part of frame.declaredBytes === undefined ? inflateUnsized(frame, left) : [inflateSized(frame)]) {
      parts.push(part);
      total += part.length;
    }
    if (total > maxBytes) throw new ZstdError('too_large');
  }
  return joinBytes(parts);
}

function inflateSized(frame: Frame): Uint8Array {
  try {
    return decompress(frame.bytes);
  } catch {
    throw new ZstdError('corrupt');
  }
}

function inflateUnsized(frame: Frame, maxBytes: number): Uint8Array[] {
  // No match reaches further back than what has come out, so a window above the ceiling is waste.
  const log = Math.max(10, Math.ceil(Math.log2(Math.max(1, Math.min(frame.windowBytes, frame.ceilingBytes)))));
  if (2 ** log * frame.blocks > maxWindowMoves) throw new ZstdError('unusual');
  const smaller = frame.bytes.slice();
  if (2 ** log < frame.windowBytes) smaller[5] = (log - 10) << 3;
  const parts: Uint8Array[] = [];
  let total = 0;
  const inflater = new Decompress((part) => {
    total += part.length;
    if (total > maxBytes) throw new ZstdError('too_large');
    parts.push(part);
  });
  try {
    inflater.push(smaller, true);
  } catch (thrown) {
    throw thrown instanceof ZstdError ? thrown : new ZstdError('corrupt');
  }
  return parts;
}

function framesOf(bytes: Uint8Array): Frame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const frames: Frame[] = [];
  let at = 0;
  let count = 0;
  while (at < bytes.length) {
    if (++count > maxFrames) throw new ZstdError('unusual');
    if (bytes.length - at < 8) throw new ZstdError('corrupt');
    const magic = view.getUint32(at, true);
    if (magic >>> 4 === 0x184d2a5) {
      at += 8 + view.getUint32(at + 4, true);
      continue;
    }
    if (magic !== 0xfd2fb528) throw new ZstdError('corrupt');
    const frame = frameAt(view, bytes, at);
    frames.push(frame);
    at += frame.bytes.length;
  }
  if (at !== bytes.length || frames.length === 0) throw new ZstdError('corrupt');
  return frames;
}

function frameAt(view: DataView, bytes: Uint8Array, start: number): Frame {
  try {
    return measuredFrame(view, bytes, start);
  } catch (thrown) {
    // A DataView read past the end.
    throw thrown instanceof ZstdError ? thrown : new ZstdError('corrupt');
  }
}

function measuredFrame(view: DataView, bytes: Uint8Array, start: number): Frame {
  const flags = view.getUint8(start + 4);
  const isSingleSegment = (flags & 0x20) !== 0;
  const sizeFlag = flags >> 6;
  let at = start + 5;
  let windowBytes = 0;
  if (!isSingleSegment) {
    const descriptor = view.getUint8(at++);
    const base = 2 ** (10 + (descriptor >> 3));
    windowBytes = base + (base / 8) * (descriptor & 7);
  }
  // A dictionary is something both sides would have agreed on before.
  if ((flags & 3) !== 0) throw new ZstdError('unusual');
  const sizeBytes = sizeFlag === 0 ? (isSingleSegment ? 1 : 0) : 2 ** sizeFlag;
  const declaredBytes = sizeBytes === 0 ? undefined : declaredSize(view, at, sizeBytes);
  at += sizeBytes;
  const blocks = measuredBlocks(view, at);
  const end = blocks.end + ((flags & 4) !== 0 ? 4 : 0);
  if (end > bytes.length) throw new ZstdError('corrupt');
  return {
    bytes: bytes.subarray(start, end),
    declaredBytes,
    windowBytes: isSingleSegment ? (declaredBytes ?? 0) : windowBytes,
    blocks: blocks.count,
    ceilingBytes: blocks.ceilingBytes,
  };
}

function declaredSize(view: DataView, at: number, bytes: number): number {
  if (bytes === 1) return view.getUint8(at);
  if (bytes === 2) return view.getUint16(at, true) + 256;
  return bytes === 4 ? view.getUint32(at, true) : Number(view.getBigUint64(at, true));
}

function measuredBlocks(view: DataView, start: number): { end: number; count: number; ceilingBytes: number } {
  let at = start;
  let count = 0;
  let ceilingBytes = 0;
  for (let isLast = false; !isLast; count++) {
    const header = view.getUint8(at) | (view.getUint8(at + 1) << 8) | (view.getUint8(at + 2) << 16);
    isLast = (header & 1) === 1;
    const type = (header >> 1) & 3;
    const size = header >> 3;
    if (type === 3) throw new ZstdError('corrupt');
    ceilingBytes += type === 2 ? maxBlockBytes : size;
    at += 3 + (type === 1 ? 1 : size);
  }
  return { end: at, count, ceilingBytes };
}
