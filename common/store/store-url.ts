/** Which store a URL of the configuration means. */

export function isS3Url(url: string): boolean {
  return url.startsWith('s3://');
}
