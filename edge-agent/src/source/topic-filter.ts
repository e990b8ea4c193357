/**
 * MQTT topic filters (MQTT 5.0 §4.7).
 */

/** Whether `text` may be subscribed to: `+` alone on its level, `#` alone on the last one, no NUL, 1 to 65,535 bytes. */
export function isTopicFilter(text: string): boolean {
  if (text === '' || text.includes('\0') || Buffer.byteLength(text) > 65_535) return false;
  const levels = text.split('/');
  return levels.every((level, index) => {
    if (level === '#') return index === levels.length - 1;
    return level === '+' || !/[+#]/.test(level);
  });
}
