/** Which options a configuration may have at a place, read off its schema: to name the one that a mistyped one means. */
import { z } from 'zod';

/** A node of JSON Schema, as far as zod makes them. */
interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly additionalProperties?: SchemaNode | boolean;
  readonly items?: SchemaNode | boolean;
  readonly anyOf?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly allOf?: readonly SchemaNode[];
}

/** Of all alternatives that the place has. */
export function knownOptions(schema: z.ZodType, path: readonly PropertyKey[]): string[] {
  const root = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as SchemaNode;
  let nodes = alternatives(root);
  for (const key of path) nodes = nodes.flatMap((node) => childrenOf(node, key)).flatMap(alternatives);
  return [...new Set(nodes.flatMap(({ properties }) => Object.keys(properties ?? {})))];
}

function alternatives(node: SchemaNode): SchemaNode[] {
  const { anyOf = [], oneOf = [], allOf = [] } = node;
  return [node, ...[...anyOf, ...oneOf, ...allOf].flatMap(alternatives)];
}

function childrenOf(node: SchemaNode, key: PropertyKey): SchemaNode[] {
  const named = node.properties?.[String(key)];
  if (named) return [named];
  const { additionalProperties, items } = node;
  return [additionalProperties, items].flatMap((child) => (typeof child === 'object' ? child : []));
}
