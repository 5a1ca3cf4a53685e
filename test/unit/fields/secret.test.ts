import { describe, expect, it } from 'vitest';
import { readingWith } from '../../../src/fields/files.ts';
import { secretField } from '../../../src/fields/secret.ts';
import { pemField, textOrFileField } from '../../../src/fields/text-or-file.ts';

const files: Readonly<Record<string, string>> = {
  '/run/key': 'sk-from-file\n',
  '/run/empty': '\n',
  '/run/ca.pem': '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
};

function read(path: string): string {
  const text = files[path];
  if (text === undefined) throw new Error('no such file');
  return text;
}

function messagesOf(result: { error?: { issues: { message: string }[] } | undefined }): string[] {
  return (result.error?.issues ?? []).map(({ message }) => message);
}

describe('secretField', () => {
  it('is a text or the trimmed text of a file', () => {
    expect(secretField.parse(' sk-1 ')).toBe('sk-1');
    expect(readingWith(read, () => secretField.parse({ file: '/run/key' }))).toBe('sk-from-file');
  });

  it('is never empty: an empty key would open the door', () => {
    expect(messagesOf(secretField.safeParse('  '))).toEqual(['a secret must not be empty']);
    expect(messagesOf(readingWith(read, () => secretField.safeParse({ file: '/run/empty' })))).toEqual([
      'a secret must not be empty',
    ]);
  });

  it('says why a file cannot be read', () => {
    expect(messagesOf(readingWith(read, () => secretField.safeParse({ file: '/nope' })))).toEqual([
      '"/nope" cannot be read: no such file',
    ]);
  });

  it('says that there are no files where there are none', () => {
    expect(messagesOf(readingWith(undefined, () => secretField.safeParse({ file: '/run/key' })))[0]).toContain(
      'there are no files here',
    );
  });

  it('forgets the reader after the work, also when the work throws', () => {
    expect(() =>
      readingWith(read, () => {
        throw new Error('stop');
      }),
    ).toThrow('stop');
    expect(secretField.safeParse({ file: '/run/key' }).success).toBe(false);
  });
});

describe('textOrFileField and pemField', () => {
  it('give the text untrimmed', () => {
    expect(textOrFileField.parse(' a\n')).toBe(' a\n');
    expect(readingWith(read, () => textOrFileField.parse({ file: '/run/key' }))).toBe('sk-from-file\n');
  });

  it('a PEM is a path, or the PEM itself where there are no files', () => {
    expect(readingWith(read, () => pemField.parse('/run/ca.pem'))).toContain('BEGIN CERTIFICATE');
    expect(pemField.parse('-----BEGIN CERTIFICATE-----\nMIIB\n')).toContain('MIIB');
  });

  it('a file without PEM in it is an error', () => {
    expect(messagesOf(readingWith(read, () => pemField.safeParse('/run/key')))[0]).toContain('holds no PEM');
  });
});
