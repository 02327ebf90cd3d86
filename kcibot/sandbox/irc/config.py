"""Configurations of an InspIRCd 3 and its atheme services: accounts, TLS, SASL, and all of IRCv3 that they have."""

from collections.abc import Sequence
from enum import Enum


class Flood(Enum):
    """What becomes of who says more than the server takes: nothing, a delay, or the end of the connection."""

    OFF = 'threshold="1000" commandrate="100000" fakelag="no"'
    DELAYS = 'threshold="10" commandrate="1000" fakelag="yes"'
    KILLS = 'threshold="10" commandrate="1000" fakelag="no"'


TIMES = "ircv3_servertime"
MODULES = (
    TIMES,
    *("ssl_gnutls", "cap", "ircv3", "ircv3_accounttag", "ircv3_batch", "ircv3_capnotify", "ircv3_chghost"),
    *("ircv3_ctctags", "ircv3_echomessage", "ircv3_labeledresponse", "ircv3_msgid"),
    *("services_account", "sasl", "spanningtree", "svshold", "botmode", "chanhistory", "md5", "sha256"),
)

SERVER = """\
<server name="irc.test" description="test" id="001" network="TestNet">
<admin name="a" nick="a" email="a@example.org">
<bind address="127.0.0.1" port="{port}" type="clients">
<bind address="127.0.0.1" port="{tls_port}" type="clients" sslprofile="main">
<bind address="127.0.0.1" port="{link_port}" type="servers">
{modules}
<sslprofile name="main" provider="gnutls" certfile="{folder}/cert.pem" keyfile="{folder}/key.pem"
  requestclientcert="yes">
<ctctags allowclientonlytags="yes">
<chanhistory maxlines="50" prefixmsg="yes" bots="yes" enableumode="no">
<sasl target="services.test" requiressl="no">
<uline server="services.test" silent="yes">
<link name="services.test" ipaddr="127.0.0.1" port="{link_port}" allowmask="127.0.0.0/8"
  sendpass="linkpass" recvpass="linkpass">
<connect name="main" allow="*" timeout="60" pingfreq="2m" hardsendq="1M" softsendq="8192" recvq="8K" {flood}
  localmax="1000" globalmax="1000" maxchans="50" resolvehostnames="no" useident="no">
<dns server="127.0.0.1" timeout="1">
<security announceinvites="dynamic" hideulines="no">
<options prefixquit="Quit: " defaultmodes="not" pingwarning="15">
<path configdir="{folder}" datadir="{folder}" logdir="{folder}" moddir="{modules_folder}">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="inspircd.log">
"""
"""`defaultmodes` must be there, or who comes first into a channel does not become its operator."""

SERVICES_MODULES = (
    *("protocol/inspircd", "backend/opensex", "crypto/pbkdf2v2"),
    *("nickserv/main", "nickserv/register", "nickserv/identify", "nickserv/info", "nickserv/logout"),
    *("saslserv/main", "saslserv/plain", "saslserv/external"),
)

SERVICES_TEXT = """\
{modules}
serverinfo {{
  name = "services.test"; desc = "services"; numeric = "00A"; recontime = 1; netname = "TestNet";
  adminname = "a"; adminemail = "a@example.org"; registeremail = "noreply@example.org"; mta = "/bin/true";
  loglevel = {{ error; info; admin; network; wallops; }};
  maxlogins = 20; maxusers = 0; mdlimit = 30; emaillimit = 1000; emailtime = 300; auth = none; casemapping = rfc1459;
}};
uplink "irc.test" {{
  host = "127.0.0.1"; port = {link_port}; send_password = "linkpass"; receive_password = "linkpass";
}};
nickserv {{
  spam; nick = "NickServ"; user = "NickServ"; host = "services.test"; real = "Nick"; maxnicks = 5; expire = 0;
}};
saslserv {{ nick = "SaslServ"; user = "SaslServ"; host = "services.test"; real = "Sasl"; }};
general {{ commit_interval = 5; default_clone_allowed = 50; }};
logfile "{folder}/log" {{ error; info; admin; register; network; }};
"""


def server_text(
    folder: str, modules: Sequence[str], modules_folder: str, flood: Flood, *, port: int, tls_port: int, link_port: int
) -> str:
    """inspircd.conf. `folder` has its certificate (cert.pem, key.pem) and gets its log."""
    loaded = "\n".join(f'<module name="{name}">' for name in modules)
    ports = {"port": port, "tls_port": tls_port, "link_port": link_port}
    return SERVER.format(folder=folder, modules=loaded, modules_folder=modules_folder, flood=flood.value, **ports)


def services_text(folder: str, link_port: int) -> str:
    """atheme.conf."""
    modules = "\n".join(f'loadmodule "modules/{name}";' for name in SERVICES_MODULES)
    return SERVICES_TEXT.format(folder=folder, modules=modules, link_port=link_port)
