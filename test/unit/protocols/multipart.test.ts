import { describe, expect, it } from 'vitest';
import { decodeCall } from '../../../src/protocols/decode.ts';
import { boundaryOf, formWithModel, modelInForm } from '../../../src/protocols/multipart.ts';
import { openaiTranscriptions } from '../../../src/protocols/openai-transcriptions.ts';
import { recordingOf } from '../../support/recordings.ts';

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const part = (headers: string, body: string) => `--XX\r\n${headers}\r\n\r\n${body}\r\n`;
const modelPart = (model: string) => part('Content-Disposition: form-data; name="model"', model);
const filePart = part(
  'Content-Disposition: form-data; name="file"; filename="a.wav"\r\nContent-Type: audio/wav',
  'RIFF\r\n--X\r\n',
);
const end = '--XX--\r\n';

describe('modelInForm', () => {
  it.each([
    ['first', modelPart('whisper:1') + filePart + end],
    ['last', filePart + modelPart('whisper:1') + end],
    [
      'with text after the last boundary',
      `${modelPart('whisper:1')}${end}--XX\r\nContent-Disposition: form-data; name="model"\r\n\r\nother\r\n--XX--`,
    ],
    ['without quotes', part('content-disposition: form-data; name=model', 'whisper:1') + end],
    ['without blanks', part('Content-Disposition:form-data;name="model"', 'whisper:1') + end],
    [
      'with more headers',
      part('Content-Type: text/plain\r\nContent-Disposition: form-data; name="model"\r\nContent-Length: 9', 'whisper:1') + end,
    ],
    [
      'beside a file with an encoded name',
      part(`Content-Disposition: form-data; name="file"; filename*=utf-8''%C3%A4.wav`, 'x') + modelPart('whisper:1') + end,
    ],
    [
      'beside a file with a quote in its name',
      part('Content-Disposition: form-data; name="file"; filename="a\\"; name=model.wav"', 'x') + modelPart('whisper:1') + end,
    ],
  ])('finds it %s', (_, form) => {
    expect(modelInForm(bytesOf(form), 'XX')?.model).toBe('whisper:1');
  });

  it('finds none where there is none', () => {
    expect(modelInForm(bytesOf(filePart + end), 'XX')).toBeUndefined();
    expect(modelInForm(bytesOf(part('Content-Disposition: form-data; name="Model"', 'x') + end), 'XX')).toBeUndefined();
    expect(modelInForm(bytesOf('--XX--\r\n'), 'XX')).toBeUndefined();
  });

  it('takes an empty one as empty', () => {
    expect(modelInForm(bytesOf(modelPart('') + end), 'XX')?.model).toBe('');
  });

  it.each([
    ['two models', modelPart('allowed') + modelPart('other') + end],
    ['text before the first boundary', `preamble\r\n${modelPart('allowed')}${end}`],
    ['bare line feeds', (modelPart('allowed') + end).replaceAll('\r\n', '\n')],
    [
      'a name in the extended form',
      part("Content-Disposition: form-data; name*=utf-8''model", 'other') + modelPart('allowed') + end,
    ],
    [
      'a plain name beside an extended one',
      part(`Content-Disposition: form-data; name="x"; name*=utf-8''model`, 'other') + modelPart('allowed') + end,
    ],
    ['a name in pieces', part('Content-Disposition: form-data; name*0="mo"; name*1="del"', 'other') + modelPart('allowed') + end],
    ['two names', part('Content-Disposition: form-data; name="x"; name="model"', 'other') + modelPart('allowed') + end],
    ['a name with a backslash', part('Content-Disposition: form-data; name="mod\\"el"', 'other') + end],
    [
      'two dispositions',
      part('Content-Disposition: form-data; name="x"\r\nContent-Disposition: form-data; name="model"', 'o') + end,
    ],
    ['no disposition', part('Content-Type: text/plain', 'x') + end],
    ['another disposition', part('Content-Disposition: attachment; name="model"', 'x') + end],
    ['a folded header', part('Content-Disposition: form-data;\r\n name="model"', 'x') + end],
    [
      'quoted-printable',
      part('Content-Disposition: form-data; name="model"\r\nContent-Transfer-Encoding: quoted-printable', '=61') + end,
    ],
    ['junk behind a boundary', `--XX \r\nContent-Disposition: form-data; name="model"\r\n\r\nx\r\n--XX--`],
    [
      'a boundary that goes on',
      `${modelPart('allowed')}--XXY\r\nContent-Disposition: form-data; name="model"\r\n\r\nother\r\n--XX--`,
    ],
    ['no last boundary', modelPart('allowed')],
    ['headers without end', '--XX\r\nContent-Disposition: form-data; name="model"\r\n'],
    ['huge headers', part(`X: ${'x'.repeat(5000)}\r\nContent-Disposition: form-data; name="model"`, 'x') + end],
    ['101 parts', part('Content-Disposition: form-data; name="x"', 'y').repeat(101) + end],
    ['a huge model', modelPart('x'.repeat(1025)) + end],
    ['nothing', ''],
  ])('refuses %s', (_, form) => {
    expect(() => modelInForm(bytesOf(form), 'XX')).toThrowError(expect.objectContaining({ code: 'invalid_body', status: 400 }));
  });

  it('takes 100 parts', () => {
    const form = part('Content-Disposition: form-data; name="x"', 'y').repeat(99) + modelPart('m') + end;
    expect(modelInForm(bytesOf(form), 'XX')?.model).toBe('m');
  });

  it('refuses a model that is no UTF-8', () => {
    const form = bytesOf(modelPart('?') + end);
    form[form.indexOf(0x3f)] = 0xff;
    expect(() => modelInForm(form, 'XX')).toThrow('not valid UTF-8');
  });

  it('is quick on 16 MiB of carriage returns', () => {
    const started = performance.now();
    modelInForm(bytesOf(part('Content-Disposition: form-data; name="file"', '\r'.repeat(16 * 1024 * 1024)) + end), 'XX');
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('boundaryOf', () => {
  it.each([
    ['multipart/form-data; boundary=XX', 'XX'],
    ['Multipart/Form-Data;boundary="a b"', 'a b'],
    ['multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW', '----WebKitFormBoundary7MA4YWxkTrZu0gW'],
  ])('%s', (contentType, boundary) => {
    expect(boundaryOf(contentType)).toBe(boundary);
  });

  it.each([
    null,
    '',
    'application/json',
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary=a; boundary=b',
    'multipart/mixed; boundary=a',
    "multipart/form-data; boundary*=utf-8''a",
    `multipart/form-data; boundary=${'a'.repeat(71)}`,
  ])('%s is refused', (contentType) => {
    expect(() => boundaryOf(contentType)).toThrow(/multipart\/form-data, with one boundary/);
  });
});

describe('formWithModel', () => {
  it('replaces the model and nothing else', () => {
    const changed = formWithModel(bytesOf(filePart + modelPart('alias') + end), 'XX', 'whisper:größer');
    expect(textOf(changed)).toBe(filePart + modelPart('whisper:größer') + end);
  });

  it('adds one where there is none', () => {
    expect(textOf(formWithModel(bytesOf(filePart + end), 'XX', 'w'))).toBe(modelPart('w') + filePart + end);
    expect(modelInForm(formWithModel(bytesOf(filePart + end), 'XX', 'w'), 'XX')?.model).toBe('w');
    expect(modelInForm(formWithModel(bytesOf(modelPart('') + end), 'XX', 'w'), 'XX')?.model).toBe('w');
  });
});

describe('decodeCall', () => {
  const decode = (form: string, query = '', contentType = 'multipart/form-data; boundary=XX') =>
    decodeCall(openaiTranscriptions, bytesOf(form), {
      request: new Request(`http://corral.test/v1/audio/transcriptions${query}`, {
        method: 'POST',
        headers: { 'content-type': contentType },
      }),
    });

  it('reads the recorded form', () => {
    const { body } = recordingOf('v1-audio-transcriptions').request;
    const call = decode(String(body));
    expect(call).toMatchObject({ model: 'gemma3:270m', body: undefined, isStream: false });
  });

  it('reads what the platform itself writes', async () => {
    const form = new FormData();
    form.set('file', new Blob(['RIFF'], { type: 'audio/wav' }), 'ä "quoted".wav');
    form.set('model', 'whisper:1');
    const sent = new Response(form);
    const contentType = sent.headers.get('content-type') ?? '';
    expect(decode(await sent.text(), '', contentType).model).toBe('whisper:1');
  });

  it('knows no model where none is named', () => {
    expect(decode(filePart + end).model).toBeUndefined();
    expect(decode(modelPart(' ') + end).model).toBeUndefined();
  });

  it.each(['?model=other', '?a=b&%6dodel=other'])('refuses a second model in the query %s', (query) => {
    expect(() => decode(modelPart('allowed') + end, query)).toThrow('name the model in the form, not in the query');
  });

  it('refuses an empty body and a missing boundary', () => {
    expect(() => decode('')).toThrow('a form is expected');
    expect(() => decode(modelPart('m') + end, '', 'multipart/form-data')).toThrow('one boundary');
  });
});
