/**
 * Whether `node_modules` holds what `package-lock.json` asks for.
 *
 * npm keeps its own account of what it installed, `node_modules/.package-lock.json`, and writes it last; so whoever
 * installed, with whatever command, is believed. It is enough to look at the packages that our own manifests name, since
 * npm installs what those need together with them or not at all, and at the versions of the others.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * @typedef {object} LockedPackage
 * @property {string} [version]
 * @property {Record<string, string>} [dependencies]
 * @property {Record<string, string>} [devDependencies]
 *
 * @typedef {Readonly<Record<string, LockedPackage>>} LockedPackages by folder, `''` for the root
 */

/**
 * The folders that an installation has to create or replace.
 *
 * @param {string} root
 * @param {readonly string[]} workspaces
 */
export function missingPackages(root, workspaces) {
  const wanted = readLockfile(join(root, 'package-lock.json'));
  const installed = readLockfile(join(root, 'node_modules/.package-lock.json'));
  const outdated = outdatedPackages(wanted, installed);
  const absent = directPackages(wanted, workspaces).filter((folder) => !existsSync(join(root, folder)));
  return [...new Set([...absent, ...outdated])];
}

/**
 * @param {string} root
 * @returns {string[]}
 */
export function allWorkspaces(root) {
  return /** @type {{ workspaces: string[] }} */ (readJson(join(root, 'package.json'))).workspaces;
}

/**
 * @param {string} path
 * @returns {LockedPackages}
 */
function readLockfile(path) {
  return existsSync(path) ? /** @type {{ packages: LockedPackages }} */ (readJson(path)).packages : {};
}

/**
 * @param {string} path
 * @returns {unknown}
 */
function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}

/**
 * What npm installed in another version than the lockfile's.
 *
 * @param {LockedPackages} wanted
 * @param {LockedPackages} installed
 */
export function outdatedPackages(wanted, installed) {
  return Object.keys(installed).filter(
    (folder) => wanted[folder] !== undefined && wanted[folder].version !== installed[folder]?.version,
  );
}

/**
 * Where the packages lie that the root and these workspaces name in their manifests.
 *
 * @param {LockedPackages} wanted
 * @param {readonly string[]} workspaces
 */
export function directPackages(wanted, workspaces) {
  return ['', ...workspaces].flatMap((workspace) => {
    const { dependencies, devDependencies } = wanted[workspace] ?? {};
    return Object.keys({ ...dependencies, ...devDependencies }).map((name) => {
      const own = `${workspace}/node_modules/${name}`;
      return own in wanted ? own : `node_modules/${name}`;
    });
  });
}
