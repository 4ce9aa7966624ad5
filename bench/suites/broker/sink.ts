/** A process that answers each request of a given length with a short 200, and looks at none: `node sink.ts BYTES`. */

import { createServer, type AddressInfo } from 'node:net'

const requestBytes = Number(process.argv[2])
const body = '{"id":"0/0/0","last_id":"0/0/499","count":500,"durability":"disk"}'
const answer = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
)

const server = createServer({ noDelay: true }, (socket) => {
  let came = 0
  socket.on('data', (chunk: Buffer) => {
    came += chunk.length
    for (; came >= requestBytes; came -= requestBytes) socket.write(answer)
  })
  socket.on('error', () => socket.destroy())
})
server.listen(0, '127.0.0.1', () => console.log(`port ${(server.address() as AddressInfo).port}`))
