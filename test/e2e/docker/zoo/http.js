'use strict';
// The pid, as most do it: TERM closes, and the end comes when all is answered.
const http = require('node:http');

const server = http.createServer((request, response) => response.end(`zoo ${process.pid}\n`));
server.listen(8080);
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeIdleConnections();
});
