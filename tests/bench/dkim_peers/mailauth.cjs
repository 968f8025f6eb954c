// Verifies or signs all messages of a folder with mailauth, in rounds: see tests/bench/dkim.py for what goes in and out.
// node mailauth.cjs KEYS SIGNED PLAIN PEM SELECTOR DOMAIN; NODE_PATH says where mailauth is.

const fs = require('node:fs');
const path = require('node:path');
const readline = require('node:readline');
const { dkimVerify } = require('mailauth/lib/dkim/verify');
const { dkimSign } = require('mailauth/lib/dkim/sign');

const [names, signed, plain, pem, selector, domain] = process.argv.slice(2);
const keys = new Map(fs.readFileSync(names, 'utf8').trim().split('\n').map(line => line.split('\t')));
const octets = folder => fs.readdirSync(folder).sort().map(name => fs.readFileSync(path.join(folder, name)));
const messages = { verify: octets(signed), sign: octets(plain) };
const privateKey = fs.readFileSync(pem, 'utf8');

const resolver = async name => {
    if (!keys.has(name)) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
    return [[keys.get(name)]];
};
const work = {
    verify: async message => (await dkimVerify(message, { resolver })).results.some(one => one.status.result === 'pass'),
    sign: async message =>
        (await dkimSign(message, { canonicalization: 'relaxed/relaxed', algorithm: 'rsa-sha256', signatureData: [{ signingDomain: domain, selector, privateKey }] }))
            .signatures.length > 0,
};

(async () => {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        const [what, rounds] = line.split(' ');
        const begun = process.cpuUsage();
        let good = 0;
        for (let round = 0; round < rounds; round++) for (const message of messages[what]) good += await work[what](message);
        const { user, system } = process.cpuUsage(begun);
        console.log(`${((user + system) / 1e6).toFixed(9)} ${good}`);
    }
})();
