# Verifies or signs all messages of a folder with Mail::DKIM, in rounds: see tests/bench/dkim.py for what goes in and out.
# perl mail_dkim.pl KEYS SIGNED PLAIN PEM SELECTOR DOMAIN

use strict;
use warnings;
use Mail::DKIM::PrivateKey;
use Mail::DKIM::PublicKey;
use Mail::DKIM::Signer;
use Mail::DKIM::Verifier;

my ($names, $signed, $plain, $pem, $selector, $domain) = @ARGV;
my %keys = map { chomp; split /\t/, $_, 2 } do { open my $file, '<', $names or die; <$file> };
my %messages = (verify => [octets($signed)], sign => [octets($plain)]);
my $private = Mail::DKIM::PrivateKey->load(File => $pem);

{   # Its own fetching with the answers at hand.
    no warnings 'redefine';
    *Mail::DKIM::PublicKey::fetch_async = sub {
        my ($class, %of) = @_;
        my $record = $keys{"$of{Selector}._domainkey.$of{Domain}"};
        my $key = defined $record ? $class->parse($record) : undef;
        @$key{qw(Selector Domain)} = @of{qw(Selector Domain)} if $key;
        my $told = ($of{Callbacks} || {})->{Success} || sub { $_[0] };
        my $made = $told->($key);
        return sub { $made };
    };
}

sub octets {
    my ($folder) = @_;
    return map { local $/; open my $file, '<:raw', $_ or die; <$file> } sort glob "$folder/*.eml";
}

$| = 1;
while (my $line = <STDIN>) {
    my ($what, $rounds) = split ' ', $line;
    my $good = 0;
    my $begun = (times)[0] + (times)[1];
    for (1 .. $rounds) {
        for my $message (@{ $messages{$what} }) {
            if ($what eq 'verify') {
                my $dkim = Mail::DKIM::Verifier->new;
                $dkim->PRINT($message);
                $dkim->CLOSE;
                $good++ if $dkim->result eq 'pass';
            } else {
                my $dkim = Mail::DKIM::Signer->new(
                    Algorithm => 'rsa-sha256', Method => 'relaxed/relaxed', Domain => $domain, Selector => $selector, Key => $private
                );
                $dkim->PRINT($message);
                $dkim->CLOSE;
                $good++ if $dkim->signature->as_string;
            }
        }
    }
    printf "%.9f %d\n", (times)[0] + (times)[1] - $begun, $good;
}
