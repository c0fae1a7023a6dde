from crm.models.company import InsuranceCompany
from crm.models.customer import Contact, Customer, CustomerType
from crm.models.facts import ContactFacts
from crm.models.team import Team
from crm.models.token import SecurityToken

__all__ = ["Contact", "ContactFacts", "Customer", "CustomerType", "InsuranceCompany", "SecurityToken", "Team"]
