/**
 * A source file as the rules of the house see it: whom it imports, and what of its surroundings it touches.
 */
import { posix } from 'node:path';
import ts from 'typescript';

export interface Source {
  /** From the root, with `/`. */
  readonly path: string;
  readonly lineCount: number;
  readonly imports: readonly Import[];
  /** Lines that use the global `process` or import it. */
  readonly processLines: readonly number[];
  /** Lines that ask what time it is. */
  readonly timeLines: readonly number[];
  readonly defaultExportLines: readonly number[];
}

/** Either a file of this project, or a package of npm's, or a module of Node's. */
export type Import =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'package'; readonly name: string }
  | { readonly kind: 'builtin'; readonly name: string };

/** Where the names `@varve/…` point: package name → folder of its sources. */
const ownPackages: Readonly<Record<string, string>> = {
  '@varve/common': 'common',
  '@varve/edge-agent': 'edge-agent/src',
  '@varve/tsdb': 'tsdb/src',
  '@varve/deploy': 'deploy',
};

export function parseSource(path: string, text: string): Source {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const nodes = allNodes(file);
  const linesOf = (matches: (node: ts.Node) => boolean) =>
    nodes.filter(matches).map((node) => file.getLineAndCharacterOfPosition(node.getStart()).line + 1);
  return {
    path,
    lineCount: text.trimEnd().split('\n').length,
    imports: ts.preProcessFile(text).importedFiles.map(({ fileName }) => resolveImport(path, fileName)),
    processLines: linesOf(touchesProcess),
    timeLines: linesOf(readsTime),
    defaultExportLines: linesOf(exportsDefault),
  };
}

function resolveImport(importer: string, specifier: string): Import {
  if (specifier.startsWith('node:')) return { kind: 'builtin', name: specifier };
  if (specifier.startsWith('.')) return fileImport(posix.join(posix.dirname(importer), specifier));
  const [first = '', second = '', ...rest] = specifier.split('/');
  const [name, inside] = first.startsWith('@') ? [`${first}/${second}`, rest] : [first, [second, ...rest]];
  const folder = ownPackages[name];
  return folder === undefined ? { kind: 'package', name } : fileImport(posix.join(folder, ...inside));
}

function fileImport(path: string): Import {
  return { kind: 'file', path: path.replace(/\.js$/, '.ts') };
}

function allNodes(root: ts.Node): ts.Node[] {
  const nodes: ts.Node[] = [];
  const visit = (node: ts.Node): void => {
    nodes.push(node);
    ts.forEachChild(node, visit);
  };
  visit(root);
  return nodes;
}

function touchesProcess(node: ts.Node): boolean {
  if (ts.isImportDeclaration(node) && ts.isStringLiteral(node.moduleSpecifier))
    return node.moduleSpecifier.text === 'node:process';
  return ts.isIdentifier(node) && node.text === 'process' && !isMemberName(node);
}

/** `x.process` and `{ process: … }` are names that somebody else chose. */
function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node;
  return (ts.isPropertyAssignment(parent) || ts.isPropertySignature(parent)) && parent.name === node;
}

const timeFunctions = new Set(['Date.now', 'performance.now', 'process.hrtime', 'process.uptime']);

function readsTime(node: ts.Node): boolean {
  if (ts.isPropertyAccessExpression(node)) return timeFunctions.has(node.getText());
  if (ts.isNewExpression(node)) return node.expression.getText() === 'Date' && !node.arguments?.length;
  return ts.isCallExpression(node) && node.expression.getText() === 'Date';
}

function exportsDefault(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (ts.isExportSpecifier(node)) return node.name.text === 'default';
  return node.kind === ts.SyntaxKind.DefaultKeyword && ts.canHaveModifiers(node.parent);
}
