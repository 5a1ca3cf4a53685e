/** Writes config/schema.json and config/reference.md from the schema of the configuration, and what is made of packages' data. */
import { writeFileSync } from 'node:fs';
import { configJsonSchema } from '../src/config/json-schema.ts';
import { configReference } from '../src/config/reference.ts';
import { phonePlansSource } from './phone-plans.ts';

const folder = new URL('../config/', import.meta.url);
writeFileSync(new URL('schema.json', folder), `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
writeFileSync(new URL('reference.md', folder), configReference());
writeFileSync(new URL('../src/policies/guards/phone-plans.ts', import.meta.url), phonePlansSource());
