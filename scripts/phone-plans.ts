/**
 * Makes src/policies/guards/phone-plans.ts of the numbering plans that libphonenumber-js brings: what tells whether a number
 * is one, and nothing of how to write it. All of what it brings would add 40 KB to a Worker, gzipped; this adds a quarter.
 */
import full from 'libphonenumber-js/metadata.max';
import general from 'libphonenumber-js/metadata.min';

/** Numbers without `+` are read as one of theirs: what begins many other things is told apart only by their plans in detail. */
const nationalCountries = ['US', 'GB', 'DE', 'IL', 'IN', 'CA', 'BR'] as const;

type Entry = readonly unknown[];
interface Plans {
  readonly version: number;
  readonly country_calling_codes: Readonly<Record<string, readonly string[]>>;
  readonly countries: Readonly<Record<string, Entry>>;
  readonly nonGeographic: Readonly<Record<string, Entry>>;
}

const fullPlans = full as unknown as Plans;
const generalPlans = general as unknown as Plans;

/** Places of an entry, from the library's METADATA.md. */
const place = { callingCode: 0, internationalPrefix: 1, defaultInternationalPrefix: 12 } as const;
/** How numbers are written: formats, where the national prefix goes, what announces an extension. */
const writingPlaces = [4, 6, 9, 13] as const;

export function phonePlansSource(): string {
  const detailed = new Set(nationalCountries.map((country) => fullPlans.countries[country]?.[place.callingCode]));
  const countries = Object.entries(generalPlans.countries).map(([country, entry]): [string, Entry] => {
    // Countries that share a calling code are told apart by their plans: all of them, or none.
    const chosen = detailed.has(entry[place.callingCode]) ? fullPlans.countries[country] : entry;
    return [
      country,
      withoutWriting(
        chosen ?? entry,
        nationalCountries.some((national) => national === country),
      ),
    ];
  });
  const other = Object.entries(generalPlans.nonGeographic).map(([code, entry]): [string, Entry] => [
    code,
    withoutWriting(entry, false),
  ]);
  return `/** Made by scripts/phone-plans.ts (npm run generate): the numbering plans of libphonenumber-js, one country a line. */
export const phonePlansJson: string = String.raw\`{"version":${generalPlans.version},
"country_calling_codes":${JSON.stringify(generalPlans.country_calling_codes)},
"countries":{
${linesOf(countries)}
},
"nonGeographic":{
${linesOf(other)}
}}\`;
`;
}

/** The prefixes with which one dials abroad count only where numbers are read as national ones. */
function withoutWriting(entry: Entry, isNational: boolean): Entry {
  const left = [...entry];
  for (const at of writingPlaces) left[at] = 0;
  if (!isNational) left[place.internationalPrefix] = left[place.defaultInternationalPrefix] = 0;
  while (!left.at(-1)) left.pop();
  return Array.from(left, (part) => part ?? 0);
}

function linesOf(entries: readonly (readonly [string, Entry])[]): string {
  return entries.map(([name, entry]) => `${JSON.stringify(name)}:${JSON.stringify(entry)}`).join(',\n');
}
