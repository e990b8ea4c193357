import { z } from 'zod';

export const pem = z.string({ error: 'write the path of a PEM file, or its text' }).min(1);
