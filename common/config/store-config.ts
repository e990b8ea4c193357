/**
 * `store:` as both programs write it (DESIGN §5.2): a folder, `s3://bucket/prefix`, or the S3 form in full.
 */
import { z } from 'zod';

/** What `openStore` takes. Credentials are not here: they come from the AWS SDK's usual chain. */
export interface StoreConfig {
  /** A folder path (absolute after `resolveStore`), or `s3://bucket/prefix`. */
  readonly url: string;
  readonly endpoint?: string | undefined;
  readonly region?: string | undefined;
  /** The bucket stands in the path, not in the host name. */
  readonly pathStyle: boolean;
}

const expected = 'write a folder such as ./lake, or s3://bucket/prefix';

const storeUrl = z
  .string({ error: expected })
  .min(1, expected)
  .refine((url) => !url.includes('://') || /^s3:\/\/[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/[^?#]*)?$/.test(url), {
    error: `is not understood: ${expected}`,
  });

/**
 * Without `path_style` the bucket stands in the path where an endpoint is given: other servers than Amazon's seldom have
 * a host name per bucket, and never behind an IP address.
 */
export const storeSchema = z
  .union(
    [
      storeUrl.transform((url) => ({ url })),
      z.strictObject({
        url: storeUrl,
        endpoint: z
          .url({ protocol: /^https?$/, error: 'write a URL such as https://s3.example.org' })
          .optional(),
        region: z.string().min(1).optional(),
        path_style: z.boolean().optional(),
      }),
    ],
    { error: expected },
  )
  .transform((raw): StoreConfig => {
    const { url, endpoint, region, path_style } = raw as {
      url: string;
      endpoint?: string;
      region?: string;
      path_style?: boolean;
    };
    return { url, endpoint, region, pathStyle: path_style ?? endpoint !== undefined };
  });
