"""A test client that fills in the portal's forms."""

import re

from django.test import Client

PASSWORD = "a good long passphrase"
NEW_PASSWORD = "another good passphrase"


class Browser(Client):
    """A client whose ``fill(path, field=…)`` loads a page and submits its form."""

    def fill(self, path, **fields):
        page = self.get(path)
        assert page.status_code == 200, page
        return self.send(page, path, **fields)

    def send(self, page, path, **fields):
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.content.decode())[1]
        return self.post(path.split("?")[0], {"csrfmiddlewaretoken": token} | fields)

    def sign_in(self, email="shop@example.com", password=PASSWORD, to=""):
        return self.fill("/portal/sign-in", email=email, password=password, next=to)
