"""A key goes to its service's own origin, over TLS or to this machine, and nowhere else."""

import pytest
from client.test_http import SERVER, recipe, run
from hypothesis import given
from hypothesis import strategies as st
from tests_laws import law
from tests_service import Service, chat
from tests_tables import table

from mashbill import TeacherError
from mashbill.client.accounts import Accounts, _Table
from mashbill.client.origins import address
from mashbill.client.transport import is_loopback, proxy_for
from mashbill.core.errors import InputError
from mashbill.core.folder import RecipeFolder
from mashbill.run.display import Quiet

pytestmark = pytest.mark.allow_hosts(["127.0.0.1", "127.0.0.2"])

OPENAI = "https://api.openai.com/v1"
ENVIRON = {"OPENAI_API_KEY": "sk-0123456789", "OTHER_KEY": "other-0123456789"}


def account(url, *, service="openai", key="OPENAI_API_KEY", own=OPENAI, tables=None, **environ):
    accounts = Accounts("data@example.org", tables or {}, "")
    return accounts.account(service, url, key, ENVIRON | environ, own_url=own, teacher="my-teacher")


SAME = [
    OPENAI, "https://API.OpenAI.com/v1", "https://api.openai.com:443/v1",
    "https://api.openai.com./v1", "HTTPS://api.openai.com/other", "https://api.openai.com",
    "https://\uff41\uff50\uff49.openai.com/v1", "https://api。openai.com/v1", "https://api.openai.com:00443/",
]  # fmt: skip


@pytest.mark.parametrize("url", SAME)
def test_one_origin_has_many_spellings_and_is_sent_to_by_one(url):
    found = account(url)
    assert found.keys == ("sk-0123456789",)
    assert found.base_url.startswith("https://api.openai.com")
    assert found.host == "api.openai.com"


CLEAR = ["http://api.openai.com/v1", "http://api.openai.com:443/v1", "HTTP://API.OPENAI.COM/v1",
         "http://api.openai.com.:80/v1", "http://10.0.0.5:8000/v1", "http://192.168.1.2/v1",
         "http://[2001:db8::1]/v1", "http://0.0.0.0:8000/v1", "http://127.0.0.1.example/v1",
         "http://localhost.example/v1", "http://127.1/v1", "http://2130706433/v1",
         "http://server/v1"]  # fmt: skip
OTHERS = ["https://api.openai.com:8443/v1", "https://api.openai.com.evil.example/v1",
          "https://evil.example/api.openai.com", "https://xapi.openai.com/v1",
          "https://openai.com/v1", "https://api.opena\u0131.com/v1", "https://xn--api-openai.com/v1",
          "https://api.openai.com..evil/v1", "https://[::ffff:1.2.3.4]/v1"]  # fmt: skip
NONE = ["https://api.openai.com@evil.example/v1", "https://user:pass@api.openai.com/v1",
        "https://evil.example\\@api.openai.com/v1", "https://api.openai.com\\.evil.example/v1",
        "https://api.openai.com /v1", "https://api.openai.com\t/v1", "https://api.openai.com/\n",
        "https://api.openai.com/v1?x=", "https://api.openai.com/v1#", "https://api.openai.com:x/v1",
        "https://api.openai.com:99999/v1", "https://api.openai.com:0/v1", "https:///v1", "https://",
        "ftp://api.openai.com/v1", "file:///etc/hostname", "//api.openai.com/v1",
        "api.openai.com/v1",
        "https://[::1/v1", "https://[fe80::1%25eth0]/v1", "https://a..b/v1",
        "https://api.openai.com/../x", "https://api.openai.com/v1/ü", "javascript:alert(1)", "",
        "https://\u202eapi.openai.com"]  # fmt: skip


@pytest.mark.parametrize("url", CLEAR)
def test_no_key_goes_in_clear_text(url):
    with pytest.raises(TeacherError, match=r"OPENAI_API_KEY would be sent to http://.* in cle"):
        account(url)
    # Not even if somebody's own file names the address.
    table = _Table(service="openai", keys_env=("OPENAI_API_KEY",), base_url=url)
    with pytest.raises(TeacherError, match="in clear text"):
        account(OPENAI, tables={"a": table})
    assert account(url, key="", service="server", own="").keys == ("",)


@pytest.mark.parametrize("url", OTHERS)
def test_a_key_goes_to_no_other_origin(url):
    with pytest.raises(TeacherError, match=r"because the recipe says so|names no host"):
        account(url)


@table("url", NONE)
def test_what_is_no_base_address_is_refused_and_says_no_password(url):
    with pytest.raises(TeacherError) as caught:
        account(url)
    assert "pass" not in str(caught.value).replace("password", "")


LOCAL = ["http://127.0.0.1:8000/v1", "http://localhost:8000/v1", "http://LOCALHOST./v1",
         "http://[::1]:8000/v1", "http://127.9.8.7/v1", "http://[0:0:0:0:0:0:0:1]/v1",
         "http://[::ffff:127.0.0.1]/v1", "https://localhost/v1"]  # fmt: skip


@pytest.mark.parametrize("url", LOCAL)
def test_this_machine_is_asked_in_clear_text(url):
    assert account(url).keys == ("sk-0123456789",)


@pytest.mark.parametrize(
    ("named", "asked", "sent"),
    [
        ("https://h.example:8000/v1", "https://h.example:8000/v1", True),
        ("https://h.example:8000/v1", "https://H.EXAMPLE.:8000/other", True),
        ("https://h.example/v1", "https://h.example:443/v1", True),
        ("https://h.example:8000/v1", "https://h.example:8001/v1", False),
        ("https://h.example:8000/v1", "http://h.example:8000/v1", False),
        ("https://h.example/v1", "https://i.example/v1", False),
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8001/v1", False),
        ("http://127.0.0.1:8000/v1", "http://localhost:8000/v1", False),
    ],
)
def test_the_key_of_a_server_goes_to_the_origin_that_is_named(named, asked, sent):
    table = _Table(service="server", keys_env=("OTHER_KEY",), base_url=named)
    found = account(asked, service="server", key="", own="", tables={"a": table})
    assert found.keys == (("other-0123456789",) if sent else ("",))


@law(200)
@given(
    st.sampled_from(["https://", "http://", "HTTPS://", "https:/", "https:\\\\"]),
    st.lists(st.sampled_from(["api.openai.com", "evil.example", "@", ":", "/", "\\", "#", "?", ".",
                              "443", "80", "[", "]", "%40", "%2e", "。", " ", "user", "\0", ";"]),
             min_size=1, max_size=6).map("".join),
)  # fmt: skip
def test_what_is_checked_is_what_is_sent_to(scheme, rest):
    from yarl import URL

    try:
        found = account(scheme + rest)
    except TeacherError:
        return
    sent = URL(found.base_url + "/chat/completions", encoded=True)
    assert (sent.scheme, sent.host, sent.port) == ("https", "api.openai.com", 443)
    assert sent.user is None
    assert not sent.query_string


# -- keys that are none ----------------------------------------------------------------------------

ODD_KEYS = {
    None: "is not set", "": "is empty", " ": "is empty", "\n": "is empty", "\t \r\n": "is empty",
    "sk-1\nX-Evil: 1": "a line break", "sk-1\rabc": "a line break", "sk 1": "white space",
    "sk-ключ": "not ASCII", "“sk-1”": "not ASCII", "sk\u00a0x": "white space",
    "sk\x00x": "a control character", "sk\x7fx": "a control character",
    "Bearer sk-1": "white space",
}  # fmt: skip


@table("key", ODD_KEYS)
@table("url", [OPENAI, "http://127.0.0.1:9/v1"])
def test_a_key_that_is_none_is_told_by_its_variable_and_teacher_and_never_shown(key, url):
    environ = {} if key is None else {"MY_KEY": key}
    own = OPENAI if url == OPENAI else ""
    with pytest.raises(TeacherError) as caught:
        account(url, key="MY_KEY", own=own, service="openai" if own else "server", **environ)
    said = str(caught.value)
    assert "MY_KEY" in said
    assert "my-teacher" in said
    assert ODD_KEYS[key] in said
    assert not (key or "").strip() or key.strip()[:4] not in said.replace('Bearer" before', "")


def test_white_space_around_a_key_is_not_part_of_it():
    assert account(OPENAI, key="MY_KEY", MY_KEY=" sk-1\r\n").keys == ("sk-1",)


def test_a_key_that_is_not_set_is_told_before_any_stage_runs(tmp_path, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with Service(lambda h, *_: h.reply(200, chat("well"))) as service:
        path = recipe(tmp_path / "r", SERVER.format(url=service.url) + 'key_env = "MY_KEY"\n')
        with pytest.raises(TeacherError, match=r"teacher 't'.*MY_KEY is not set"):
            run(path, tmp_path / "s")
    assert service.asked == []
    assert not list((tmp_path / "s").glob("datasets/*"))


def test_an_accounts_file_with_a_bad_address_names_file_and_key(tmp_path):
    (tmp_path / "accounts.toml").write_text(
        '[accounts.a]\nservice = "server"\nkeys_env = ["K"]\nbase_url = "https://u:p@h.example"\n'
    )
    with pytest.raises(InputError, match=r"accounts\.toml: accounts\.a\.base_url = .*password"):
        Accounts.load(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path)})


ACCOUNTS = '[accounts.a]\nservice = "{service}"\n{key} = {value}\n'


@pytest.mark.parametrize(
    ("service", "key", "value"),
    [
        ("openai", "base_url", '"https://collects.example/v1"'),
        ("openai", "keys_env", '["AWS_SECRET_ACCESS_KEY"]'),
        ("server", "base_url", '"https://collects.example/v1"'),
    ],
)
def test_an_accounts_file_beside_a_strangers_recipe_sends_no_key_anywhere(
    tmp_path, service, key, value
):
    folder, config = tmp_path / "strange", tmp_path / "config"
    folder.mkdir()
    file = folder / "accounts.toml"
    file.write_text(ACCOUNTS.format(service=service, key=key, value=value))
    environ = {
        "XDG_CONFIG_HOME": str(config),
        "AWS_SECRET_ACCESS_KEY": "s3cret-of-mine",
        "MY_KEY": "sk-of-mine",
        "MASHBILL_CONTACT": "me@here.example",
    }
    url = OPENAI if service == "openai" else "https://collects.example/v1"

    def asked(beside):
        accounts = Accounts.load(beside, environ)
        return accounts.account(
            service, url, "MY_KEY", environ, own_url=OPENAI if service == "openai" else ""
        )

    (folder / "r.toml").touch()
    recipe_of_strangers = RecipeFolder.of(folder / "r.toml")
    with pytest.raises(TeacherError, match=r"lies beside the recipe.*--allow .*accounts\.toml"):
        asked(recipe_of_strangers)
    assert asked(RecipeFolder.of(folder / "r.toml", [file])).keys
    own = config / "mashbill"
    own.mkdir(parents=True)
    file.rename(own / "accounts.toml")
    assert asked(recipe_of_strangers).keys


def test_which_key_goes_to_which_address_of_this_machine_is_told_before_it_goes(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-of-mine")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    heard = []

    class Heard(Quiet):
        def tell(self, line):
            heard.append((line, len(service.asked)))

    for how in ("recipe", "neighbour", "openai", "none"):
        heard.clear()
        with Service(lambda h, *_: h.reply(200, chat("well"))) as service:
            teacher = SERVER.format(url=service.url)
            if how == "recipe":
                teacher += 'key_env = "AWS_SECRET_ACCESS_KEY"\n'
            path = recipe(tmp_path / how, teacher)
            if how in {"neighbour", "openai"}:
                name = "server" if how == "neighbour" else how
                table = ACCOUNTS.format(
                    service=name, key="keys_env", value='["AWS_SECRET_ACCESS_KEY"]'
                )
                (path.parent / "accounts.toml").write_text(f'{table}base_url = "{service.url}/v1"')
            if how == "openai":
                path.write_text(
                    path.read_text().replace(
                        teacher, 'kind = "api"\nprovider = "openai"\nmodel = "m-1"\n'
                    )
                )
            run(path, tmp_path / f"s-{how}", display=Heard())
        told = [(line, asked) for line, asked in heard if "is sent there as a key" in line]
        if how == "none":
            assert told == []
            continue
        ((line, asked),) = told
        assert asked == 0
        assert line.startswith(f"{service.url}: what AWS_SECRET_ACCESS_KEY holds")
        assert line.endswith("the recipe says" if how == "recipe" else "accounts.toml says")
        assert "s3cret" not in line
        sent = {headers["Authorization"] for _, headers, _ in service.asked}
        assert sent == {"Bearer s3cret-of-mine"}


# -- proxies ---------------------------------------------------------------------------------------


def test_this_machine_is_never_asked_through_a_proxy(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    for url in LOCAL:
        assert proxy_for(str(address(url))) is None
    assert proxy_for("https://api.openai.com/v1") == "http://proxy.example:3128"


@pytest.mark.parametrize("host", ["127.0.0.1.", "localhost", "::1", "127.255.0.1"])
def test_loopback_is_known(host):
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["", "0.0.0.1", "::", "127.1", "10.0.0.1", "localhost.example", "1"]
)
def test_what_is_not_loopback_is_not(host):
    assert not is_loopback(host)
