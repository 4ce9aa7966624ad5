/** How much is logged. */

import { logLevels } from '#lib/levels'
import { closed } from './kit.ts'
import { Type } from './type.ts'

export const logLevel = closed({ level: Type.Enum([...logLevels], { description: 'That it has now' }) })
