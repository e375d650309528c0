import { Catalogue } from './catalogue/catalogue.ts';
import { Location } from './catalogue/location.ts';
import { assertSources } from './compose-faults.ts';
import type { Config } from './config/config.ts';
import { DirectoryStore } from './stores/directory-store.ts';

/**
 * The catalogue alone, for commands that only show what is recorded: what an app has besides takes longer to load
 * than they have to do. Throws what composeApp throws.
 */
export async function composeCatalogue(config: Config): Promise<Catalogue> {
  assertSources(config);
  const { requireMount } = config;
  const location = await Location.open(config.location, { requireMount, create: false, write: false });
  return new Catalogue(location, new DirectoryStore(location.root, location.owner), { once: true });
}
