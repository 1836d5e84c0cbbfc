// An HTTP server on the socket that it was given, as a real Node program writes
// it: process.send('ready'), process.on('message'), server.close() on SIGTERM.
const http = require('http')
const fs = require('fs')
const { Readable } = require('stream')

const who = `gen ${process.env.SWAPINIT_GENERATION} worker ${process.env.SWAPINIT_WORKER}`
const say = text => fs.writeSync(1, `${who}: ${text}\n`)

// 100 MiB that are different everywhere.
function* blocks() {
  for (let n = 0; n < 100; n++) yield Buffer.alloc(1 << 20, `block ${n}\n`)
}

let stopping = false
const server = http.createServer((request, response) => {
  if (stopping) response.setHeader('Connection', 'close')
  if (request.url === '/big') return Readable.from(blocks()).pipe(response)
  const end = () => response.end(`generation ${process.env.SWAPINIT_GENERATION} worker ${process.env.SWAPINIT_WORKER}\n`)
  setTimeout(end, 2)
})

process.on('message', message => say(`message ${JSON.stringify(message)}`))
process.once('SIGTERM', () => {
  say('got TERM')
  stopping = true
  server.close(() => { say('done'); process.exit(0) })
})
say('started')
server.listen({ fd: 3 }, () => {
  say('ready')
  process.send('ready')
})
