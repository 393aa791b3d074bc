/**
 * The cases of property tests are the same in every run, so that what is green stays green until something changes;
 * `SEED=7 npm test` hunts among others.
 */
import fc from 'fast-check'

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env['SEED'] ?? 1) })
