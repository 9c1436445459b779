import js from '@eslint/js'
import globals from 'globals'
import importX from 'eslint-plugin-import-x'
import tseslint from 'typescript-eslint'
import { arrows, clients, pathResolver, pureFolders, purePackages, walls } from './eslint.architecture.js'

const zones = [
  ...Object.entries(arrows).flatMap(([target, allowed]) => forbiddenFrom(target, allowed)),
  ...Object.entries(walls).flatMap(([room, behind]) => behindWall(room, behind)),
]

/** Everything of ours except the target itself and what it may import. */
function forbiddenFrom(target, allowed) {
  const message = `${target} may import ${allowed.length === 0 ? 'nothing else of ours' : allowed.join(', ')} only`
  return ['src', 'features', 'examples', 'scripts', 'test'].map((root) => {
    const open = [target, ...allowed].filter((path) => path === root || path.startsWith(`${root}/`))
    return {
      target: `./${target}`,
      from: `./${root}`,
      except: open.map((path) => (path === root ? '.' : `.${path.slice(root.length)}`)),
      message,
    }
  })
}

/** The folders behind a room's wall, for everybody else that ships. */
function behindWall(room, behind) {
  const others = Object.keys(arrows).filter((target) => target !== room)
  const message = `what is behind the wall of ${room} is its own: import a file that stands in ${room} itself`
  return others.flatMap((target) => behind.map((folder) => ({ target: `./${target}`, from: `./${folder}`, message })))
}

/** One block per client: importable under its own folder, and nowhere else in what ships. */
function clientPatterns(ofFolder) {
  return Object.entries(clients)
    .filter(([, folder]) => folder !== ofFolder)
    .map(([name, folder]) => ({ regex: `^${name}(/|$)`, message: `${name} is imported under ${folder} only` }))
}

const dynamicClients = Object.entries(clients).map(([name, folder]) => ({
  selector: `ImportExpression > Literal[value=/^${name.replace('/', '\\u002F')}(\\u002F|$)/]`,
  folder,
  message: `${name} is imported under ${folder} only`,
}))

const dynamicPatterns = (ofFolder) =>
  dynamicClients.filter(({ folder }) => folder !== ofFolder).map(({ selector, message }) => ({ selector, message }))

const effects = [
  ...['process', 'performance', 'console', 'fetch', 'crypto', 'Buffer', 'globalThis', 'require'],
  ...['setTimeout', 'setInterval', 'setImmediate', 'queueMicrotask'],
].map((name) => ({ name, message: 'Pure folders have no effects: pass it in as an argument.' }))

const clockAndChance = [
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: 'Pure folders read no clock.' },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Pure folders read no clock.' },
  { selector: "CallExpression[callee.name='Date']", message: 'Pure folders read no clock.' },
  { selector: "MemberExpression[object.name='Math'][property.name='random']", message: 'Pure folders draw no chance.' },
  { selector: 'ImportExpression', message: 'Pure folders import at the top, or not at all.' },
]

const shipped = ['src/**/*.ts', 'features/**/*.ts', 'scripts/**/*.ts']
const plain = ['**/*.js', '**/*.mjs']

export default tseslint.config(
  {
    ignores: [
      'dist/',
      'coverage/',
      '.riverbank/',
      '.cache/',
      '.venv/',
      '.venv-makers/',
      'features/compiled/',
      'models/',
    ],
  },
  { linterOptions: { reportUnusedDisableDirectives: 'error', noInlineConfig: true } },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'separate-type-imports' }],
      '@typescript-eslint/consistent-type-exports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: true },
      ],
      '@typescript-eslint/only-throw-error': 'error',
      '@typescript-eslint/return-await': ['error', 'error-handling-correctness-only'],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true, allowNullish: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-unnecessary-condition': ['error', { allowConstantLoopConditions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      // An interface's async method may have nothing to wait for in one of its drivers.
      '@typescript-eslint/require-await': 'off',
      // A type parameter that names what a caller asked for is worth its single use.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
      // Boundaries are where noUncheckedIndexedAccess cannot know what was checked a line above.
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/ban-ts-comment': 'error',
    },
  },
  {
    files: plain,
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: globals.node },
  },
  {
    files: ['**/*.ts', ...plain],
    plugins: { 'import-x': importX },
    settings: {
      'import-x/resolver-next': [pathResolver],
      'import-x/extensions': ['.ts', '.js', '.mjs'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
    },
    rules: {
      eqeqeq: 'error',
      'no-var': 'error',
      'prefer-const': 'error',
      'import-x/no-restricted-paths': ['error', { basePath: import.meta.dirname, zones }],
      'import-x/no-cycle': ['error', { maxDepth: 20, ignoreExternal: true }],
      'import-x/no-duplicates': ['error', { 'prefer-inline': false }],
    },
  },
  {
    files: shipped,
    rules: {
      'import-x/no-default-export': 'error',
      'max-lines': ['error', 300],
      'max-lines-per-function': ['error', { max: 70, skipComments: true }],
      'no-restricted-imports': ['error', { patterns: clientPatterns(null) }],
      'no-restricted-syntax': ['error', ...dynamicPatterns(null)],
    },
  },
  { files: ['scripts/**/*.mjs'], rules: { 'max-lines': ['error', 300], 'max-lines-per-function': ['error', 70] } },
  // The runner of the tests asks their support what this machine can run.
  { files: ['scripts/test.mjs'], rules: { 'import-x/no-restricted-paths': 'off' } },
  // Each edge's own client is open to it; the other clients stay closed.
  ...[...new Set(Object.values(clients))].map((folder) => ({
    files: [`${folder}/**/*.ts`],
    rules: {
      'no-restricted-imports': ['error', { patterns: clientPatterns(folder) }],
      'no-restricted-syntax': ['error', ...dynamicPatterns(folder)],
    },
  })),
  // What the libraries alone cost is measured with the libraries alone.
  { files: ['scripts/bench/floor/**/*.ts'], rules: { 'no-restricted-imports': 'off' } },
  {
    files: pureFolders.map((folder) => `${folder}/**/*.ts`),
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^(?!\\.{1,2}/|(${purePackages.join('|')})(/|$))`,
              message: `Pure folders import ${purePackages.join(' and ')} only: no clients, no node:*.`,
            },
          ],
        },
      ],
      'no-restricted-globals': ['error', ...effects],
      'no-restricted-syntax': ['error', ...clockAndChance],
    },
  },
  {
    files: ['test/**/*.ts'],
    rules: {
      'max-lines': ['error', 400],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/unbound-method': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
    },
  },
)
