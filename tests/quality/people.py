"""Names of people, written by hand: of many origins, and from no list that the packs' gazetteers come from."""

from __future__ import annotations

NAMES = tuple(
    line.strip()
    for line in """
    Amara Okonkwo|Chidi Eze|Ngozi Adeyemi|Kwame Mensah|Abena Owusu|Tariq Hassan|Zainab Abubakar|Sipho Dlamini
    Thandiwe Nkosi|Lindiwe Khumalo|Wanjiru Kamau|Otieno Odhiambo|Fatoumata Diallo|Mamadou Traore|Aminata Sow
    Tesfaye Bekele|Selamawit Haile|Youssef Benali|Leila Haddad|Karim Mansour|Nadia Bouzid|Omar Farouk|Samira Nasser
    Hassan Al-Sayed|Layla Khalil|Mehmet Yilmaz|Ayşe Demir|Emre Kaya|Zeynep Şahin|Reza Ahmadi|Shirin Hosseini
    Dariush Karimi|Farida Rahimi|Imran Siddiqui|Ayesha Malik|Bilal Chaudhry|Priya Raghavan|Arjun Nair|Sunita Deshpande
    Rajesh Iyer|Kavita Menon|Vikram Choudhary|Ananya Banerjee|Rohan Kulkarni|Deepika Pillai|Harpreet Singh
    Gurpreet Kaur|Nimal Perera|Dilani Fernando|Tharindu Jayasuriya|Nguyen Van Minh|Tran Thi Lan|Pham Quoc Bao
    Le Thi Hoa|Somchai Wongsawat|Siriporn Chaiyasit|Budi Santoso|Siti Rahayu|Dewi Lestari|Agus Wijaya
    Nurul Huda binti Ismail|Ahmad Faizal|Maria Clara Reyes|Jose Rizalino Cruz|Juan Dela Cruz|Liu Wei|Zhang Xiaoming
    Wang Fang|Chen Jianguo|Li Na|Huang Meiling|Sun Yat-ling|Lin Chih-hao|Takeshi Yamamoto|Yuki Nakamura
    Haruto Kobayashi|Sakura Fujiwara|Kenji Watanabe|Min-jun Kim|Seo-yeon Park|Ji-hoon Choi|Hye-jin Jung
    Ivan Petrov|Olga Smirnova|Dmitri Volkov|Svetlana Kuznetsova|Oleksandr Shevchenko|Iryna Kovalenko|Mykola Bondarenko
    Katarzyna Nowak|Piotr Kowalczyk|Agnieszka Zielińska|Tomasz Wójcik|Jan Dvořák|Eva Procházková|Lukáš Horák
    Zuzana Kováčová|Gábor Szabó|Katalin Nagy|László Tóth|Ion Popescu|Elena Ionescu|Andrei Dumitrescu|Georgi Dimitrov
    Desislava Ivanova|Marko Jovanović|Jelena Petrović|Nikola Horvat|Ana Kovačević|Luka Novak|Arben Hoxha|Blerina Krasniqi
    Nikos Papadopoulos|Eleni Georgiou|Dimitris Nikolaidis|Giulia Ferrari|Marco Rinaldi|Francesca Colombo
    Alessandro De Luca|Chiara Moretti|Lorenzo Barbieri|Sofía Hernández|Diego Ramírez|Lucía Fernández|Javier Ortega
    Carmen Ibáñez|Pablo Castillo|Valentina Rojas|Santiago Vargas|Camila Torres|Mateo Quispe|Ximena Flores
    João Pereira|Beatriz Almeida|Tiago Carvalho|Inês Rodrigues|Rafael Oliveira|Larissa Souza|Thiago Nascimento
    Camille Lefèvre|Julien Moreau|Élodie Girard|Mathieu Rousseau|Chloé Fontaine|Étienne Dubois|Anaïs Mercier
    Lars Andersson|Ingrid Johansson|Erik Lindqvist|Astrid Bergström|Sven Nilsson|Mette Sørensen|Jens Kristensen
    Freja Mortensen|Ole Hansen|Kari Haugen|Bjørn Eriksen|Sigrid Dahl|Aino Virtanen|Mikko Korhonen|Päivi Mäkinen
    Guðrún Jónsdóttir|Ólafur Sigurðsson|Kristjan Tamm|Liina Saar|Jānis Bērziņš|Ilze Kalniņa|Jonas Kazlauskas
    Rasa Petrauskienė|Anke Schröder|Jürgen Hoffmann|Sabine Zimmermann|Uwe Krüger|Birgit Neumann|Torsten Vogel
    Katrin Lehmann|Stefan Bauer|Heike Schäfer|Wolfgang Huber|Elisabeth Gruber|Reto Brunner|Ursula Meier
    Daan de Vries|Sanne van den Berg|Bram Jansen|Femke Bakker|Pieter Vermeulen|Lotte Janssens|Siobhan O'Connor
    Padraig Murphy|Aoife Byrne|Cormac Gallagher|Rhys Morgan|Carys Llewellyn|Angus MacLeod|Fiona Campbell|Ewan Stewart
    Oliver Bennett|Charlotte Hughes|Harry Whitfield|Emily Thornton|George Pemberton|Amelia Fletcher|Alfie Barlow
    Michael Johnson|Jennifer Williams|Robert Brown|Linda Davis|David Miller|Patricia Wilson|James Anderson|Mary Thomas
    William Jackson|Susan Harris|Richard Clark|Karen Lewis|Thomas Walker|Nancy Hall|Daniel Allen|Betty Young
    Matthew Hernandez|Ashley King|Christopher Wright|Jessica Lopez|Anthony Hill|Amanda Scott|Kevin Nguyen
    Tyrone Jefferson|Latoya Robinson|DeShawn Carter|Keisha Brooks|Jamal Edwards|Aaliyah Simmons|Miguel Gutierrez
    Rosa Delgado|Ezra Goldberg|Miriam Rosenthal|Noa Cohen|Yosef Levi|Tamar Mizrahi|Avraham Katz|Hine Parata
    Tane Wihongi|Aroha Ngata|Kalani Kealoha|Leilani Kahale|Talia Yellowhorse|Dakota Blackwood|Winona Littlefeather
    Bruce Fitzgerald|Kylie Patterson|Shane McAllister|Tahlia Robertson|Hamish Drummond|Claire Beaumont|Marcel Tremblay
    Geneviève Gagnon|Luc Bouchard|Wendell Prescott|Marguerite Haverford|Thaddeus Winslow|Cordelia Ashworth
    Barnaby Kingsley|Philippa Granger|Rupert Hollingsworth|Imogen Wakefield|Soren Lykke|Petra Vondráčková
    Zoltan Farkas|Ildikó Balogh|Radu Munteanu|Mirela Stan|Vesna Stojanovska|Goran Trajkov|Davit Gelashvili|Nino Beridze
    Armen Sargsyan|Ani Harutyunyan|Elvin Mammadov|Aigul Nurlanova|Timur Abdullaev|Bolormaa Batbayar
    """.replace("\n", "|").split("|")
    if line.strip()
)
