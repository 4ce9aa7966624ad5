/** A process that answers every request with the bytes of a file: the limit of any consumer of these bytes. */

import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const bytes = readFileSync(process.argv[2] as string)
const server = createServer((_request, response) => response.end(bytes))
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`))
