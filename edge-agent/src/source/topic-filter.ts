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
