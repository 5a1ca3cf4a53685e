/** The house's rules about who may import whom, held against the imports as they are written. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { describe, expect, it } from 'vitest';

const root = join(import.meta.dirname, '../../src');

/** Rooms by row. Rooms of row 4 are strangers to each other. */
const rows: Readonly<Record<string, number>> = {
  'index.ts': 9,
  entry: 9,
  cli: 9,
  admin: 8,
  'gateway.ts': 7,
  answers: 7,
  compile: 6,
  config: 5,
  policies: 4,
  protocols: 4,
  backends: 4,
  fleet: 4,
  routes: 4,
  observe: 4,
  cel: 3,
  'exchange.ts': 2,
  exchange: 2,
  'errors.ts': 1,
  'platform.ts': 1,
  fields: 1,
  http: 1,
  streams: 1,
  state: 1,
  json: 1,
};

const strangers = 4;

/** Rooms inside of `fleet/`, by row; rooms of one row are strangers. Its own files stand between them and are not held to rows. */
const fleetRows: Readonly<Record<string, number>> = { asking: 1, demo: 1, slots: 2, loads: 2, rates: 2, placement: 3 };
const runtimeRooms = new Set(['entry', 'cli']);
const importPattern =
  /(?:^|\n)\s*(?:import|export)\s[^'"]*?from\s*['"]([^'"]+)['"]|import\(\s*['"]([^'"]+)['"]\s*\)|(?:^|\n)import\s+['"]([^'"]+)['"]/g;

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const files: readonly SourceFile[] = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => {
    const text = readFileSync(join(root, path), 'utf8');
    const imports = [...text.matchAll(importPattern)].map((match) => match[1] ?? match[2] ?? match[3] ?? '');
    return { path, room: roomOf(path), text, imports };
  });

function roomOf(path: string): string {
  return path.split('/')[0] ?? path;
}

function inside(file: SourceFile): readonly string[] {
  return file.imports
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => normalize(join(dirname(file.path), specifier)))
    .filter((target) => !target.startsWith('..'));
}

describe('layers', () => {
  it('reads a house that is not empty', () => {
    expect(files.length).toBeGreaterThan(30);
    expect(files.flatMap(inside).length).toBeGreaterThan(60);
  });

  it('knows a row for every room', () => {
    expect(files.map((file) => file.room).filter((room) => rows[room] === undefined)).toEqual([]);
  });

  it('lets nobody import upwards, nor strangers each other', () => {
    const wrong = files.flatMap((file) =>
      inside(file)
        .filter((target) => {
          const [own, other] = [rows[file.room] ?? 0, rows[roomOf(target)] ?? 99];
          if (roomOf(target) === file.room) return false;
          return other > own || (own === strangers && other === strangers);
        })
        .map((target) => `${file.path} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('lets no room of the fleet import upwards, nor strangers each other', () => {
    const fleetRoomOf = (path: string) => /^fleet\/([^/]+)\//.exec(path)?.[1];
    const moves = files.flatMap((file) => inside(file).map((target) => [file.path, target] as const));
    const between = moves.map(([from, to]) => ({ from, to, own: fleetRoomOf(from), other: fleetRoomOf(to) }));
    const rooms = new Set(between.flatMap(({ own }) => own ?? []));
    expect([...rooms].sort()).toEqual(Object.keys(fleetRows).sort());
    const wrong = between.filter(
      ({ own, other }) =>
        own !== undefined && other !== undefined && own !== other && (fleetRows[other] ?? 9) >= (fleetRows[own] ?? 0),
    );
    expect(wrong.map(({ from, to }) => `${from} -> ${to}`)).toEqual([]);
  });

  it('has no import cycle', () => {
    const targets = new Map(files.map((file) => [file.path, inside(file)]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]) => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      else if (!done.has(path)) {
        for (const target of targets.get(path) ?? []) visit(target, [...trail, path]);
        done.add(path);
      }
    };
    for (const path of targets.keys()) visit(path, []);
    expect(cycles).toEqual([]);
  });

  it('names a runtime only where a runtime is served', () => {
    const names = /from\s+['"](node:|bun|cloudflare:|undici|@hono\/node-server)|(?<![/.])\b(Bun|Deno|process)\.[a-zA-Z]/;
    const wrong = files
      .filter((file) => !runtimeRooms.has(file.room))
      .filter((file) => names.test(file.text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, '')))
      .map((file) => file.path);
    expect(wrong).toEqual([]);
  });

  it('has no room that could hold anything', () => {
    const vague = /(^|\/)(utils?|common|helpers?|shared|types|constants|services?|handlers?|misc)(\.ts|\/)/;
    expect(files.map((file) => file.path).filter((path) => vague.test(path))).toEqual([]);
  });

  it('imports packages by the names that package.json lists', () => {
    const manifest = JSON.parse(readFileSync(join(root, '../package.json'), 'utf8')) as { dependencies: Record<string, string> };
    const packages = files
      .flatMap((file) => file.imports)
      .filter(
        (specifier) =>
          !specifier.startsWith('.') && !specifier.startsWith('#') && !/^(node|bun|cloudflare):|^bun$/.test(specifier),
      )
      .map((specifier) =>
        specifier
          .split('/')
          .slice(0, specifier.startsWith('@') ? 2 : 1)
          .join('/'),
      );
    expect([...new Set(packages)].filter((name) => manifest.dependencies[name] === undefined)).toEqual([]);
  });
});
