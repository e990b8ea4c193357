/**
 * MQTT topic filters (MQTT 5.0 §4.7).
 */

/**
 * Whether `text` may be subscribed to: `+` alone on its level, `#` alone on the last one, no NUL, 1 to 65,535 bytes. A shared
 * one is `$share/group/filter` (§4.8.2); its messages come under their own topics, as those of any other.
 */
export function isTopicFilter(text: string): boolean {
  if (text.includes('\0') || Buffer.byteLength(text) > 65_535) return false;
  if (!/^\$share(\/|$)/.test(text)) return isPlainFilter(text);
  const [, group = '', ...levels] = text.split('/');
  return group !== '' && !/[+#]/.test(group) && isPlainFilter(levels.join('/'));
}

function isPlainFilter(text: string): boolean {
  if (text === '') return false;
  const levels = text.split('/');
  return levels.every((level, index) => {
    if (level === '#') return index === levels.length - 1;
    return level === '+' || !/[+#]/.test(level);
  });
}

/**
 * Whether messages of `topic` come through `filter`. Undefined for filters of which only the broker knows what they mean:
 * those that begin with `$`, but for shared subscriptions.
 */
export function matchesFilter(filter: string, topic: string): boolean | undefined {
  const [first, shareName, ...rest] = filter.split('/');
  if (first === '$share' && shareName !== undefined) return matchesFilter(rest.join('/'), topic);
  if (first?.startsWith('$')) return undefined;
  const levels = topic.split('/');
  const wanted = filter.split('/');
  // Wildcards on the first level leave out what brokers publish themselves (§4.7.2).
  if (topic.startsWith('$') && /^[+#]/.test(filter)) return false;
  const isOpen = wanted.at(-1) === '#';
  if (isOpen ? levels.length < wanted.length - 1 : levels.length !== wanted.length) return false;
  return wanted.every((level, index) => level === '#' || level === '+' || level === levels[index]);
}
