import { createZstdCompress, gzipSync, constants as zlib, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { inflate } from '../../../src/protocols/inflate.ts';
import { inflateZstd } from '../../../src/protocols/zstd.ts';

const text = '{"model":"gemma3:270m","prompt":"größer"}'.repeat(50);
const plain = new TextEncoder().encode(text);
const mebibyte = 1024 * 1024;

/** As a streaming compressor writes it: the frame does not tell its size. */
async function zstdOfUnknownSize(bytes: Uint8Array, pieceBytes = bytes.length): Promise<Uint8Array> {
  const packer = createZstdCompress();
  const parts: Buffer[] = [];
  packer.on('data', (part: Buffer) => parts.push(part));
  const ended = new Promise((resolve) => packer.on('end', resolve));
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    packer.write(bytes.subarray(at, at + pieceBytes));
    await new Promise<void>((resolve) => packer.flush(() => resolve()));
  }
  packer.end();
  await ended;
  return Buffer.concat(parts);
}

describe('codings', () => {
  it.each([
    [null, plain],
    [undefined, plain],
    ['', plain],
    ['identity', plain],
    ['gzip', gzipSync(plain)],
    [' GZIP ', gzipSync(plain)],
    ['x-gzip', gzipSync(plain)],
    ['zstd', zstdCompressSync(plain)],
  ])('%s is understood', async (coding, bytes) => {
    expect(new TextDecoder().decode(await inflate(bytes, coding, plain.length))).toBe(text);
  });

  it.each(['br', 'deflate', 'gzip, zstd', 'gzip,gzip', 'compress'])(
    '%s is refused, naming what is understood',
    async (coding) => {
      const refused = inflate(plain, coding, mebibyte);
      await expect(refused).rejects.toMatchObject({ code: 'unsupported_encoding', status: 415 });
      await expect(refused).rejects.toThrow(/gzip, zstd and identity/);
    },
  );

  it.each(['gzip', 'zstd'])('bytes that are no %s are an invalid body', async (coding) => {
    await expect(inflate(plain, coding, mebibyte)).rejects.toMatchObject({ code: 'invalid_body', status: 400 });
    await expect(inflate(new Uint8Array(0), coding, mebibyte)).rejects.toMatchObject({ code: 'invalid_body' });
  });

  it.each([
    ['gzip', gzipSync(plain)],
    ['zstd', zstdCompressSync(plain)],
  ])('a %s body that is cut is an invalid body, wherever it is cut', async (coding, bytes) => {
    for (let length = 0; length < bytes.length; length += 7)
      await expect(inflate(bytes.subarray(0, length), coding, mebibyte)).rejects.toMatchObject({ code: 'invalid_body' });
  });
});

describe('bombs', () => {
  const zeros = new Uint8Array(20 * mebibyte);

  it.each([
    ['gzip', gzipSync(zeros)],
    ['zstd', zstdCompressSync(zeros)],
  ])('%s stops at the limit', async (coding, bytes) => {
    expect(bytes.length).toBeLessThan(mebibyte / 10);
    await expect(inflate(bytes, coding, mebibyte)).rejects.toMatchObject({ code: 'body_too_large', status: 413 });
  });

  it('zstd that does not tell its size stops at the limit', async () => {
    await expect(inflate(await zstdOfUnknownSize(zeros), 'zstd', mebibyte)).rejects.toMatchObject({ code: 'body_too_large' });
  });

  it('the limit itself is allowed, in every form', async () => {
    const one = zeros.subarray(0, mebibyte);
    for (const bytes of [zstdCompressSync(one), await zstdOfUnknownSize(one)]) {
      expect((await inflate(bytes, 'zstd', mebibyte)).length).toBe(mebibyte);
      await expect(inflate(bytes, 'zstd', mebibyte - 1)).rejects.toMatchObject({ code: 'body_too_large' });
    }
    expect((await inflate(gzipSync(one), 'gzip', mebibyte)).length).toBe(mebibyte);
    await expect(inflate(gzipSync(one), 'gzip', mebibyte - 1)).rejects.toMatchObject({ code: 'body_too_large' });
  });
});

describe('zstd frames', () => {
  const magic = [0x28, 0xb5, 0x2f, 0xfd];

  it.each([1, 7, 1000, 200_000])('whole, when a streaming compressor wrote pieces of %i bytes', async (pieceBytes) => {
    const bytes = new TextEncoder().encode(text.repeat(pieceBytes > 1000 ? 200 : 1));
    const some = pieceBytes === 1 ? bytes.subarray(0, 300) : bytes;
    expect(inflateZstd(await zstdOfUnknownSize(some, pieceBytes), mebibyte)).toEqual(some);
  });

  it('text that cannot be packed, of all lengths near the block size', () => {
    let state = 1;
    const noise = Uint8Array.from({ length: 131_080 }, () => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state >> 16;
    });
    for (const length of [0, 1, 255, 256, 65_791, 65_792, 131_071, 131_072, 131_073]) {
      const some = noise.slice(0, length);
      expect(inflateZstd(zstdCompressSync(some), mebibyte)).toEqual(some);
      const checked = zstdCompressSync(some, { params: { [zlib.ZSTD_c_checksumFlag]: 1 } });
      expect(inflateZstd(checked, mebibyte)).toEqual(some);
    }
  });

  it('several, and skippable ones between them', async () => {
    const skippable = Uint8Array.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3]);
    const both = Buffer.concat([zstdCompressSync(plain), skippable, await zstdOfUnknownSize(plain), skippable]);
    expect(new TextDecoder().decode(inflateZstd(both, mebibyte))).toBe(text + text);
    expect(() => inflateZstd(both, plain.length * 2 - 1)).toThrow('too_large');
  });

  it('64 are taken, 65 are not', () => {
    const frame = zstdCompressSync(new Uint8Array(0));
    expect(inflateZstd(Buffer.concat(Array(64).fill(frame)), mebibyte)).toEqual(new Uint8Array(0));
    expect(() => inflateZstd(Buffer.concat(Array(65).fill(frame)), mebibyte)).toThrow('unusual');
  });

  it.each([
    // A single segment that claims 2 GiB - 1, in one raw block of no bytes.
    ['declares gigabytes', [...magic, 0xa0, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0], 'too_large'],
    ['declares exabytes', [...magic, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 1, 0, 0], 'too_large'],
    ['needs a dictionary', [...magic, 0x21, 1, 1, 1, 0, 0], 'unusual'],
    ['has a reserved block', [...magic, 0x20, 0, 7, 0, 0], 'corrupt'],
    ['has blocks without end', [...magic, 0x20, 0, 0, 0, 0], 'corrupt'],
    ['has a block longer than itself', [...magic, 0x20, 9, 0x49, 0, 0, 1], 'corrupt'],
    ['is followed by junk', [...zstdCompressSync(plain), 1, 2, 3, 4, 5, 6, 7, 8, 9], 'corrupt'],
    ['is a skippable one longer than the body', [0x50, 0x2a, 0x4d, 0x18, 0xff, 0xff, 0xff, 0xff], 'corrupt'],
  ])('that %s', (_, bytes, fault) => {
    expect(() => inflateZstd(Uint8Array.from(bytes), mebibyte)).toThrow(fault);
  });

  it('a huge window costs nothing when little comes out', () => {
    // Window descriptor 0xf8: 2 TiB, which the library would refuse. One raw block: "hi".
    const frame = [...magic, 0x00, 0xf8, 0x11, 0, 0, 0x68, 0x69];
    expect(new TextDecoder().decode(inflateZstd(Uint8Array.from(frame), 10))).toBe('hi');
  });

  it('a million tiny blocks in a large window are refused before any is decoded', () => {
    const blocks = Array.from({ length: 40_000 }, () => [0x0c, 0, 0, 0]).flat();
    const frame = Uint8Array.from([...magic, 0x00, 0x68, ...blocks, 0x01, 0, 0]);
    // 40,001 compressed-block headers of length 1 each let the ceiling grow past any window.
    expect(() => inflateZstd(frame, 32 * mebibyte)).toThrow('unusual');
  });

  it('no bytes at all make it throw anything else, or give more than the limit', () => {
    let state = 7;
    const next = () => {
      state = (state * 1103515245 + 12345) % 2147483648;
      return state >> 16;
    };
    const good = zstdCompressSync(plain);
    for (let run = 0; run < 2_000; run++) {
      const bytes = Uint8Array.from(good);
      for (let edits = next() % 4; edits >= 0; edits--) bytes[4 + (next() % (bytes.length - 4))] = next() & 255;
      try {
        expect(inflateZstd(bytes, mebibyte).length).toBeLessThanOrEqual(mebibyte);
      } catch (thrown) {
        expect((thrown as { fault?: string }).fault).toMatch(/^(?:too_large|unusual|corrupt)$/);
      }
    }
  });
});
