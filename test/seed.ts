/**
 * Loaded before each file of `npm test`: properties draw the same cases each time, so that a run which fails is the fault of
 * the change before it. `npm test -- --explore`, and a test that is run alone, draw new ones; what fails prints its seed, and
 * becomes an example in its test.
 */

import fc from 'fast-check'

fc.configureGlobal({ seed: 20_260_101 })
