"""Addresses that must never be opened, as attackers spell them. ``{port}`` is that of a listener on loopback."""

_SPELLINGS = r"""
http://127.0.0.1:{port}/ https://127.0.0.1:{port}/ https://127.0.0.1/ https://127.1/ https://127.0.1/
https://2130706433/ https://0x7f000001/ https://0x7f.0.0.1/ https://0x7f.1/ https://017700000001/ https://0177.0.0.1/
https://0177.0.0.01/ https://127.0.0.1./ https://127.000.000.001/ https://0/ https://0.0.0.0/ https://00/ https://0x/
https://127.0.0.0x1/ https://[::1]/ https://[::]/ https://[0:0:0:0:0:0:0:1]/ https://[::ffff:127.0.0.1]/
https://[::ffff:7f00:1]/ https://[0:0:0:0:0:ffff:127.0.0.1]/ https://[::127.0.0.1]/ https://[64:ff9b::7f00:1]/
https://[64:ff9b::127.0.0.1]/ https://[2002:7f00:1::]/ https://[2001:0:7f00:1::]/ https://[fe80::1]/
https://[fe80::1%25lo]/ https://[::1%25lo]/ https://[fc00::1]/ https://[fd00:ec2::254]/ https://[fec0::1]/
https://[ff02::1]/ https://[3fff::1]/ https://[2001:db8::1]/ https://[100::1]/ https://[5f00::1]/
https://[::ffff:169.254.169.254]/ https://[::ffff:0:127.0.0.1]/ https://[::1/ https://[127.0.0.1]/ https://[]/
https://::1/ https://[::1]:{port}/ https://[v1.x]/ https://169.254.169.254/latest/meta-data/ https://169.254.170.2/
https://100.100.100.200/ https://192.0.0.192/ https://100.64.0.1/ https://10.0.0.1/ https://172.16.0.1/
https://172.31.255.255/ https://192.168.1.1/ https://192.0.2.1/ https://198.18.0.1/ https://198.51.100.1/
https://203.0.113.1/ https://224.0.0.1/ https://255.255.255.255/ https://192.88.99.1/ https://localhost/
https://LOCALHOST/ https://localhost./ https://localhost:{port}/ https://①②⑦.⓪.⓪.①/ https://127。0。0。1/
https://127.0.0.1/ https://lOcalhoſt/ https://user@127.0.0.1/ https://user:pass@images.example/
https://images.example@127.0.0.1/ https://127.0.0.1@images.example/ https://images.example:443@127.0.0.1/
https://images.example%40127.0.0.1/ https://images.example\@127.0.0.1/ https://images.example\.127.0.0.1/
https://127.0.0.1\.images.example/ https://images.example:80/ https://images.example:22/ https://images.example:0/
https://images.example:99999/ https://images.example:-1/ https://images.example:443a/ https://images.example:４４３４/
https://-images.example/ https://images..example/ https://.images.example/ https://images.example../
https://im%61ges.example/ https://images.example%00.x/ https://images_.-example/ http://images.example/
http://images.example:443/ HTTP://images.example/ ftp://images.example/x.jpg file:///etc/passwd
file://localhost/etc/passwd gopher://127.0.0.1:{port}/_x data:image/png;base64,iVBORw0KGgo= javascript:alert(1)
ws://127.0.0.1:{port}/ //127.0.0.1:{port}/ /etc/passwd 127.0.0.1:{port} images.example https: https:// https:///
https:///127.0.0.1/ https:127.0.0.1 https:/127.0.0.1/ https://? https://# https://:443/ https://@/ unix:/run/x
jar:https://images.example!/ blob:https://images.example/x view-source:https://images.example/
https://aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.example/
https://a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.example/
"""  # noqa: RUF001  the odd letters are the point

HOSTILE = [
    *_SPELLINGS.split(),
    "",
    " ",
    "https://images.example /",
    "https://images.example\t/",
    "https://images.example/\r\nHost: 127.0.0.1",
    "https://images.example/\x00",
    "ht\ntps://127.0.0.1/",
    "https://images.exam\u200bple/",
    "https://\ud800.example/",
    "https://images.example/\ud800",
    f"https://{'a' * 64}.example/",
    f"https://{'a.' * 127}example/",
]
