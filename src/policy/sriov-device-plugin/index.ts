export {
  DEFAULT_PREFIX,
  fullName,
  parseResources,
  parseSelector,
  type Resource,
  type Selector,
} from './configuration.ts'
export { devicePluginPolicy } from './policy.ts'
export { type Pool, poolsOf, whyNotOffered } from './pools.ts'
export { judgeDevice } from './selectors.ts'
