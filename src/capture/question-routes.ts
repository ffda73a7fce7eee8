/** What SDKs ask for before they send, or beside it. */
import type { Route } from './routes.ts';

export type QuestionKind =
  | 'config'
  | 'config_script'
  | 'script'
  | 'flags'
  | 'decide'
  | 'flag_definitions'
  | 'surveys'
  | 'early_access_features'
  | 'web_experiments'
  | 'product_tours';

export const QUESTION_ROUTES: readonly Route<QuestionKind>[] = [
  {
    path: '/static/*',
    kind: 'script',
    methods: ['GET'],
    says: 'posthog-js and the scripts it loads later, from the package that is installed here',
    clients: 'the HTML snippet, posthog-js',
  },
  {
    path: '/array/:token/config.js',
    kind: 'config_script',
    methods: ['GET'],
    says: 'The configuration of posthog-js, as a script',
    clients: 'posthog-js, at every page load',
  },
  {
    path: '/array/:token/config',
    kind: 'config',
    methods: ['GET'],
    says: 'The same as JSON',
    clients: 'posthog-js, where the script did not load, and mobile SDKs',
  },
  {
    path: '/flags',
    kind: 'flags',
    methods: ['GET', 'POST'],
    says: 'Feature flags: none, or what the host of `FLAGS_PROXY_URL` answers',
    clients: 'every PostHog SDK',
  },
  {
    path: '/decide',
    kind: 'decide',
    methods: ['GET', 'POST'],
    says: 'The same for old clients, with their configuration',
    clients: 'posthog-js before 2025, older SDKs',
  },
  {
    path: '/flags/definitions',
    kind: 'flag_definitions',
    methods: ['GET'],
    says: 'Feature flags to evaluate locally: none',
    clients: 'posthog-node and posthog-python with a personal API key',
  },
  {
    path: '/api/feature_flag/local_evaluation',
    kind: 'flag_definitions',
    methods: ['GET'],
    says: 'The same for older SDKs',
    clients: 'server SDKs with a personal API key',
  },
  {
    path: '/api/surveys',
    kind: 'surveys',
    methods: ['GET'],
    says: 'Surveys: none',
    clients: 'posthog-js, mobile SDKs',
  },
  {
    path: '/api/early_access_features',
    kind: 'early_access_features',
    methods: ['GET'],
    says: 'Early access features: none',
    clients: 'posthog-js, when asked for them',
  },
  {
    path: '/api/web_experiments',
    kind: 'web_experiments',
    methods: ['GET'],
    says: 'Web experiments: none',
    clients: 'posthog-js with `disable_web_experiments: false`',
  },
  {
    path: '/api/product_tours',
    kind: 'product_tours',
    methods: ['GET'],
    says: 'Product tours: none',
    clients: 'posthog-js',
  },
];
