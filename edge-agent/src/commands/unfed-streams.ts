/** Streams that no source feeds: right by themselves, and hardly meant. */
import type { StreamConfig } from '../decode/stream-config.js';
import type { TemplateLevel } from '../decode/topic-template.js';
import type { SourceConfig } from '../source/source-config.js';

/** A sentence for each. */
export function findUnfedStreams(
  sources: readonly SourceConfig[],
  streams: readonly StreamConfig[],
): string[] {
  const filters = sources.flatMap(({ topics }) => topics);
  return streams
    .filter(({ topic }) => !filters.some((filter) => mayMeet(filter, topic.levels)))
    .map(
      ({ name, topic }) =>
        `streams.${name}: no source subscribes to ${topic.text}: add it to a source's topics, or correct it`,
    );
}

/** Whether a topic exists that both take. What only the broker understands may be anything. */
function mayMeet(filter: string, levels: readonly TemplateLevel[]): boolean {
  const wanted = filter.replace(/^\$share\/[^/]+\//, '').split('/');
  if (wanted[0]?.startsWith('$')) return true;
  for (let index = 0; ; index++) {
    const [want, level] = [wanted[index], levels[index]];
    if (want === '#' || level?.kind === 'rest') return true;
    if (want === undefined || level === undefined) return want === undefined && level === undefined;
    if (want !== '+' && level.kind === 'text' && level.text !== want) return false;
  }
}
