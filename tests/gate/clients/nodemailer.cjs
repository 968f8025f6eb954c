// Sends one message with Nodemailer: the settings are JSON in the first argument, the message is standard input.
// What the server said goes to standard output, what went wrong to standard error.
const fs = require("node:fs");
const path = require("node:path");
const settings = JSON.parse(process.argv[2]);
const nodemailer = require(path.join(settings.modules, "nodemailer"));
const transport = nodemailer.createTransport({
  host: settings.host,
  port: settings.port,
  secure: settings.implicit,
  requireTLS: !settings.implicit,
  authMethod: settings.mechanism,
  auth: { user: settings.user, pass: settings.password },
  tls: { ca: fs.readFileSync(settings.authority), servername: settings.name },
});
transport
  .sendMail({
    envelope: { from: settings.sender, to: settings.to, use8BitMime: true },
    raw: fs.readFileSync(0),
  })
  .then(
    (done) => console.log(done.response),
    (error) => {
      console.error(`${error.code} ${error.message}`);
      process.exitCode = 1;
    },
  );
